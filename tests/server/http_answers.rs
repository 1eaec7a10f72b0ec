//! The HTTP port answers every request, with headers that let pages of any origin watch.

use crate::support::{
    flv_viewer::FlvViewer,
    frames,
    http::{Response, exchange, request},
    rtmp_peer::{RtmpPeer, dial},
    server::Server,
};

fn live() -> (Server, RtmpPeer) {
    let server = Server::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    (server, publisher)
}

fn assert_error(response: &Response, status: u16, code: &str) {
    assert_eq!(response.head.status, status, "{response:?}");
    assert_eq!(response.head.header("content-type"), "application/json");
    assert_eq!(response.head.header("access-control-allow-origin"), "*");
    assert_eq!(response.head.header("cache-control"), "no-store");
    let body: serde_json::Value = serde_json::from_str(&response.body).expect("an error is JSON");
    assert_eq!(body["error"], code);
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
}

#[test]
fn a_live_room_has_two_paths_and_takes_a_query() {
    let (server, _publisher) = live();
    for path in ["/r.flv", "/live/r.flv", "/r.flv?token=1", "/live/r.flv?a=b/c.flv"] {
        let mut viewer = FlvViewer::open_on(dial(server.http), path);
        let head = viewer.head.clone();
        assert_eq!(head.header("content-type"), "video/x-flv", "{path}");
        assert_eq!(head.header("cache-control"), "no-store");
        assert_eq!(head.header("access-control-allow-origin"), "*");
        assert_eq!(head.header("content-length"), "", "it never ends");
        viewer.frames_until(&frames::keyframe(0, 0));
    }
}

#[test]
fn a_room_that_is_not_live_is_404_at_once() {
    let (server, _publisher) = live();
    for path in ["/nobody.flv", "/live/nobody.flv", "/R.flv"] {
        assert_error(&request(server.http, "GET", path), 404, "room_not_live");
    }
}

#[test]
fn paths_that_name_no_room_are_404() {
    let server = Server::start(&[]);
    for path in ["/r", "/r.mp4", "/favicon.ico", "/api", "/assets/", "/watch"] {
        assert_error(&request(server.http, "GET", path), 404, "not_found");
    }
}

#[test]
fn bad_room_names_are_400() {
    let server = Server::start(&[]);
    let long = format!("/{}.flv", "a".repeat(129));
    for path in ["/.flv", "/a%20b.flv", "/%2e%2e.flv", "/other/r.flv", "/..flv", "/...flv", &long] {
        assert_error(&request(server.http, "GET", path), 400, "bad_room_name");
    }
}

#[test]
fn the_longest_room_name_can_be_watched() {
    let server = Server::start(&[]);
    let room = "a".repeat(128);
    let mut publisher = RtmpPeer::publish(&server, &room);
    publisher.send(&frames::keyframe(0, 0));
    FlvViewer::open(&server, &room).frames_until(&frames::keyframe(0, 0));
}

#[test]
fn head_tells_whether_a_room_is_live() {
    let (server, _publisher) = live();
    let response = request(server.http, "HEAD", "/r.flv");
    assert_eq!(response.head.status, 200);
    assert_eq!(response.head.header("content-type"), "video/x-flv");
    assert_eq!(response.head.header("cache-control"), "no-store");
    assert_eq!(response.head.header("access-control-allow-origin"), "*");
    assert_eq!(response.body, "");
    assert_eq!(request(server.http, "HEAD", "/nobody.flv").head.status, 404);
}

#[test]
fn options_let_a_page_of_another_origin_watch() {
    let (server, _publisher) = live();
    let response = request(server.http, "OPTIONS", "/r.flv");
    assert_eq!(response.head.status, 204);
    assert_eq!(response.head.header("access-control-allow-origin"), "*");
    let methods = response.head.header("access-control-allow-methods");
    assert!(["GET", "HEAD", "OPTIONS"].iter().all(|method| methods.contains(method)));
}

#[test]
fn other_methods_are_405_and_told_which_are_allowed() {
    let (server, _publisher) = live();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let response = request(server.http, method, "/r.flv");
        assert_error(&response, 405, "method_not_allowed");
        assert_eq!(response.head.header("allow"), "GET, HEAD, OPTIONS");
    }
}

#[test]
fn what_is_no_http_is_answered_as_such() {
    let server = Server::start(&[]);
    assert_eq!(exchange(server.http, b"HELLO\r\n\r\n").head.status, 400);
    let long = format!("GET /r.flv HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(300 * 1024));
    let status = exchange_long(&server, long.as_bytes());
    assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
}

/// A head that is too long may be refused by a reset, which can overtake the answer.
fn exchange_long(server: &Server, bytes: &[u8]) -> Option<u16> {
    use std::io::{Read, Write};
    let mut socket = dial(server.http);
    let _ = socket.write_all(bytes);
    let mut read = Vec::new();
    let _ = socket.read_to_end(&mut read);
    crate::support::http::split_head(&read).map(|(head, _)| head.status)
}

#[test]
fn a_node_that_is_alone_is_alive_and_ready() {
    let server = Server::start(&[]);
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = request(server.http, "GET", path);
        assert_eq!((answer.head.status, answer.body), (200, format!(r#"{{"status":"{status}"}}"#)));
        assert_eq!(answer.head.header("cache-control"), "no-store");
    }
}

#[test]
fn a_request_in_pieces_is_served() {
    use std::io::Write;
    let (server, _publisher) = live();
    let mut socket = dial(server.http);
    for piece in ["GE", "T /r.fl", "v HTTP/1.1\r", "\nHost: a\r\n"] {
        socket.write_all(piece.as_bytes()).expect("the server takes it");
    }
    socket.write_all(b"\r\n").expect("the server takes it");
    let (head, _) = crate::support::flv_viewer::read_head(&mut socket);
    assert_eq!(head.status, 200);
}
