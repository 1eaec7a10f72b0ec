//! A connection of the HTTP port takes one request after the other, live media among them, and heads of a browser's size;
//! a client that says nothing more is served on.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
};

use synctv_testkit::{
    flv::{FlvViewer, Next},
    frames,
    http::{exchange, read_response, request},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::dial,
    tools,
    wait::PATIENCE,
};

const LIVE: &str = "GET /r.flv HTTP/1.1\r\nHost: a\r\n\r\n";
const API: &str = "GET /api/v1/server HTTP/1.1\r\nHost: a\r\n\r\n";

fn live() -> (TestServer, RtmpPeer) {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&frames::keyframe(0, 0));
    (server, publisher)
}

fn send(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).expect("the server takes it");
}

#[test]
fn requests_follow_each_other_up_to_live_media() {
    let (server, mut publisher) = live();
    let mut socket = dial(server.http);
    let mut read = Vec::new();
    for (method, path, status) in [
        ("GET", "/api/v1/streams", 200),
        ("HEAD", "/", 200),
        ("GET", "/absent.flv", 404),
        ("OPTIONS", "/r.flv", 204),
        ("GET", "/assets/players/mpegts-1.8.2.js", 200),
        ("DELETE", "/r.flv", 405),
        ("GET", "/a%20b.flv", 400),
    ] {
        send(&mut socket, &format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = read_response(&mut socket, &mut read, method == "HEAD");
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("connection"), "", "{path}");
    }
    let mut viewer = FlvViewer::open_on(socket, "/r.flv");
    viewer.frames_until(&frames::keyframe(0, 0));
    publisher.send(&frames::inter(40, 1));
    viewer.frames_until(&frames::inter(40, 1));
}

#[test]
fn hls_comes_in_between_behind_a_proxy() {
    let server = TestServer::with_hls(&["--trust-proxy", "127.0.0.1"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&frames::keyframe(0, 0));
    let mut socket = dial(server.http);
    let mut read = Vec::new();
    let hls = "/live/absent/index.m3u8";
    for (paths, statuses) in [
        (&[hls][..], &[404][..]),
        (&[hls], &[404]),
        (&["/api/v1/streams"], &[200]),
        (&["/absent.flv", hls, "/api/v1/streams", hls, hls], &[404, 404, 200, 404, 404]),
    ] {
        let requests = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        send(&mut socket, &requests.collect::<String>());
        for (path, status) in paths.iter().zip(statuses) {
            let response = read_response(&mut socket, &mut read, false);
            assert_eq!((response.status, response.header("connection")), (*status, ""), "{path}");
        }
    }
    let mut viewer = FlvViewer::open_on(socket, "/r.flv");
    viewer.frames_until(&frames::keyframe(0, 0));
}

#[test]
fn live_media_comes_behind_other_answers_to_one_write() {
    let (server, _publisher) = live();
    let mut socket = dial(server.http);
    send(&mut socket, &[API, API, LIVE].concat());
    let mut read = Vec::new();
    for _ in 0..2 {
        let response = read_response(&mut socket, &mut read, false);
        assert!(response.text().contains("rtmp_port"), "{response:?}");
    }
    // Bytes beyond the answers would be lost for the viewer.
    assert!(read.is_empty() || read.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&read));
    let mut viewer = FlvViewer::of_begun(socket, read);
    viewer.frames_until(&frames::keyframe(0, 0));
}

#[test]
fn a_connection_is_closed_behind_its_last_request() {
    let (server, _publisher) = live();
    for last in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let mut socket = dial(server.http);
        send(&mut socket, &[API, last, LIVE].concat());
        let mut read = Vec::new();
        assert_eq!(read_response(&mut socket, &mut read, false).status, 200);
        let response = read_response(&mut socket, &mut read, false);
        assert!(matches!(response.status, 200 | 405), "{last}");
        assert_eq!(response.header("connection"), "close", "{last}");
        while synctv_testkit::socket::receive(&mut socket, &mut [0; 1024]).is_ok_and(|size| size > 0) {}
    }
    let mut socket = dial(server.http);
    send(&mut socket, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(read_response(&mut socket, &mut Vec::new(), false).status, 200);
    assert_eq!(synctv_testkit::socket::receive(&mut socket, &mut [0; 1]).ok(), Some(0), "it is closed");
}

#[test]
fn a_connection_that_http_1_0_keeps_is_kept() {
    let (server, _publisher) = live();
    let mut socket = dial(server.http);
    let mut read = Vec::new();
    for _ in 0..2 {
        send(&mut socket, "GET /api/v1/server HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = read_response(&mut socket, &mut read, false);
        assert_eq!(response.header("connection"), "keep-alive");
    }
}

#[test]
fn http_1_0_gets_live_media_without_chunks() {
    let (server, publisher) = live();
    let mut socket = dial(server.http);
    send(&mut socket, "GET /r.flv HTTP/1.0\r\n\r\n");
    let mut viewer = FlvViewer::of(socket);
    assert_eq!(viewer.head.header("transfer-encoding"), "");
    viewer.frames_until(&frames::keyframe(0, 0));
    drop((server, publisher));
    assert_eq!(viewer.next(PATIENCE), Next::End);
}

#[test]
fn a_body_ends_with_its_stream_in_good_order() {
    let server = TestServer::start(&["--publisher-grace-s", "0"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    publisher.unpublish();
    assert_eq!(viewer.frames_to_the_end(), []);
    assert!(viewer.is_ended(), "the last chunk came");
}

#[test]
fn ffmpeg_takes_the_end_of_a_stream_for_no_error() {
    let server = TestServer::start(&["--publisher-grace-s", "0"]);
    // FFmpeg 9 fails at the last chunk of any server, unless it expects another answer on the connection.
    for (program, options, room) in [
        (tools::ffmpeg as fn() -> Command, &[][..], "old"),
        (tools::new_ffmpeg, &["-multiple_requests", "1"], "new"),
    ] {
        let file = tools::media_file(tools::Media::AudioVideo);
        let push = tools::push(tools::ffmpeg(), file, &server.rtmp_url(room));
        server.wait_for_publisher(room);
        let mut watch = program();
        watch.args(options).args(["-xerror", "-i", &server.flv_url(room), "-c", "copy", "-f", "null", "-"]);
        let output = tools::run(&mut watch);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        push.wait_for_success();
    }
}

#[test]
fn a_client_that_sends_nothing_more_is_served_until_it_disconnects() {
    let (server, mut publisher) = live();
    let mut socket = dial(server.http);
    send(&mut socket, LIVE);
    socket.shutdown(Shutdown::Write).expect("the sending side can be closed");
    let mut viewer = FlvViewer::of(socket);
    viewer.frames_until(&frames::keyframe(0, 0));
    // Longer than the server's looks at its viewers are apart.
    assert_eq!(viewer.next(std::time::Duration::from_millis(2500)), Next::Nothing);
    publisher.send(&frames::inter(40, 1));
    viewer.frames_until(&frames::inter(40, 1));
    drop(viewer);
    server.wait_for_viewer_leaving("r", "http-flv");
}

#[test]
fn nothing_more_to_say_does_not_end_other_answers() {
    let (server, _publisher) = live();
    for path in ["/", "/api/v1/streams", "/healthz", "/absent.flv"] {
        let mut socket = dial(server.http);
        send(&mut socket, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        socket.shutdown(Shutdown::Write).expect("the sending side can be closed");
        assert!(!read_response(&mut socket, &mut Vec::new(), false).text().is_empty(), "{path}");
        assert_eq!(synctv_testkit::socket::receive(&mut socket, &mut [0; 1]).ok(), Some(0), "and closes");
    }
}

#[test]
fn the_cookies_of_a_browser_are_no_hindrance() {
    let (server, _publisher) = live();
    let cookies = |size: usize| format!("Cookie: a={}\r\n", "x".repeat(size));
    let headers = |count: usize| "X-A: b\r\n".repeat(count);
    for header in [cookies(17_000), cookies(4_000).repeat(4), headers(90)] {
        let mut socket = dial(server.http);
        send(&mut socket, &format!("GET /r.flv HTTP/1.1\r\nHost: a\r\n{header}\r\n"));
        FlvViewer::of(socket).frames_until(&frames::keyframe(0, 0));
        let page = exchange(server.http, format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n").as_bytes());
        assert_eq!(page.status, 200);
    }
    for header in [cookies(40_000), cookies(300_000), headers(200)] {
        for path in ["/r.flv", "/absent.flv", "/"] {
            let refused =
                exchange(server.http, format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}\r\n").as_bytes());
            assert_eq!(refused.status, 431, "{path}");
            assert!(
                refused.text().contains("head_too_large") && refused.text().contains("32768 bytes or 95")
            );
        }
    }
    assert_eq!(request(server.http, "GET", "/healthz").status, 200);
}

#[test]
fn curl_plays_with_and_without_keeping_its_connection() {
    let (server, publisher) = live();
    let out = concat!(env!("CARGO_TARGET_TMPDIR"), "/curl.flv");
    let url = |path: &str| format!("http://{}{path}", server.http);
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--fail-with-body",
        "-o",
        "/dev/null",
        &url("/api/v1/streams"),
        "-o",
        out,
        &url("/r.flv"),
    ]);
    let curl = curl.stdout(Stdio::null()).spawn().expect("curl runs");
    server.log.find("viewer connected", |line| line.says("viewer connected", "r"));
    drop(publisher);
    let ended = curl.wait_with_output().expect("curl ends with the stream");
    assert!(ended.status.success(), "{ended:?}");
    let file = std::fs::read(out).expect("curl wrote what came");
    assert!(file.starts_with(b"FLV"));
}
