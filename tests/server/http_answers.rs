//! The HTTP port answers every request, with headers that let pages of any origin watch.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{Response, exchange, read_head, request},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::dial,
};

fn live() -> (TestServer, RtmpPeer) {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    (server, publisher)
}

fn assert_error(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert_eq!(response.header("cache-control"), "no-store");
    let body = response.json();
    assert_eq!(body["error"], code);
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
}

#[test]
fn a_live_room_has_two_paths_and_takes_a_query() {
    let (server, _publisher) = live();
    for path in [
        "/r.flv",
        "/live/r.flv",
        "/r.flv?token=1",
        "/live/r.flv?a=b/c.flv",
        "/%72.flv",
        "//r.flv",
        "/live//r.flv",
        "http://localhost/r.flv",
    ] {
        let mut viewer = FlvViewer::open_on(dial(server.http), path);
        let head = viewer.head.clone();
        assert_eq!(head.header("content-type"), "video/x-flv", "{path}");
        assert_eq!(head.header("cache-control"), "no-store");
        assert_eq!(head.header("access-control-allow-origin"), "*");
        assert_eq!(head.header("content-length"), "", "it never ends");
        assert_eq!(head.header("transfer-encoding"), "chunked");
        viewer.frames_until(&frames::keyframe(0, 0));
    }
}

#[test]
fn a_room_that_is_not_live_is_404_at_once() {
    let (server, _publisher) = live();
    for path in ["/absent.flv", "/live/absent.flv", "/R.flv"] {
        assert_error(&request(server.http, "GET", path), 404, "room_not_live");
    }
}

#[test]
fn paths_that_name_no_room_are_404() {
    let server = TestServer::start(&[]);
    for path in ["/r", "/r.mp4", "/favicon.ico", "/api", "/assets/", "/watch"] {
        assert_error(&request(server.http, "GET", path), 404, "not_found");
    }
}

#[test]
fn bad_room_names_are_400() {
    let server = TestServer::start(&[]);
    let long = format!("/{}.flv", "a".repeat(129));
    for path in ["/.flv", "/a%20b.flv", "/%2e%2e.flv", "/other/r.flv", "/..flv", "/...flv", &long] {
        assert_error(&request(server.http, "GET", path), 400, "bad_room_name");
    }
}

#[test]
fn the_longest_room_name_can_be_watched() {
    let server = TestServer::start(&[]);
    let room = "a".repeat(128);
    let mut publisher = RtmpPeer::publish(&server, &room);
    publisher.send(&frames::keyframe(0, 0));
    FlvViewer::open(&server, &room).frames_until(&frames::keyframe(0, 0));
}

#[test]
fn head_answers_whether_a_room_is_live() {
    let (server, _publisher) = live();
    let response = request(server.http, "HEAD", "/r.flv");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "video/x-flv");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert_eq!(response.text(), "");
    assert_eq!(request(server.http, "HEAD", "/absent.flv").status, 404);
}

#[test]
fn options_let_a_page_of_another_origin_watch() {
    let (server, _publisher) = live();
    let response = request(server.http, "OPTIONS", "/r.flv");
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    let methods = response.header("access-control-allow-methods");
    assert!(["GET", "HEAD", "OPTIONS"].iter().all(|method| methods.contains(method)));
    let headers = response.header("access-control-allow-headers");
    assert_eq!(headers, "Authorization, *", "the wildcard does not cover it");
}

#[test]
fn other_methods_are_405_with_those_that_are_allowed() {
    let (server, _publisher) = live();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let response = request(server.http, method, "/r.flv");
        assert_error(&response, 405, "method_not_allowed");
        assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS");
    }
}

#[test]
fn what_is_no_http_is_answered_as_such() {
    let server = TestServer::start(&[]);
    assert_eq!(exchange(server.http, b"HELLO\r\n\r\n").status, 400);
}

#[test]
fn a_node_that_is_alone_is_alive_and_ready() {
    let server = TestServer::start(&[]);
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = request(server.http, "GET", path);
        assert_eq!((answer.status, answer.text()), (200, format!(r#"{{"status":"{status}"}}"#)));
        assert_eq!(answer.header("cache-control"), "no-store");
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
    assert_eq!(read_head(&mut socket).status, 200);
}
