//! Each limit refuses what is over it, with a reason for the peer and in the log, and the server serves everyone else.

use std::io::{Read, Write};

use synctv_media::rtmp::amf0::Value;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    log_book::LogLine,
    publisher_script::PublisherScript,
    rtmp::{
        RtmpPeer,
        raw::{
            FIRST_CHUNK_SIZE, PING_REQUEST, RawRtmp, SET_CHUNK_SIZE, USER_CONTROL, c0_and_c1, command,
            message,
        },
    },
    server::TestServer,
    socket::{dial, read_to_close},
    wait::poll_until,
};

fn find(server: &TestServer, msg: &str, why: &str) -> LogLine {
    server.log.find(why, |line| line.text("msg").contains(msg) && line.text("why").contains(why))
}

#[test]
fn connections_over_both_ports() {
    let server = TestServer::start(&["--max-connections", "2"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send(&frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));

    let refused = request(server.http, "GET", "/r.flv");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.text().contains("too_many_connections"));
    let refused = RtmpPeer::try_play(&server, "r").expect_err("there is no place for a player");
    assert_eq!(refused.code, "NetStream.Play.Failed");
    assert!(refused.description.contains("connection limit reached (2)"), "{refused:?}");
    assert_eq!(request(server.http, "GET", "/healthz").status, 200, "it lives");
    assert_eq!(request(server.http, "GET", "/readyz").status, 503, "but not ready");
    find(&server, "play refused", "connection limit reached (2)");
    assert_refused(&server, "httpflv", 2);

    // A place is free again when someone has left.
    drop(viewer);
    server.wait_for_viewer_leaving("r", "http-flv");
    publisher.send(&frames::keyframe(40, 1));
    open_when_there_is_room(&server).frames_until(&frames::keyframe(40, 1));
}

/// Asserts that the log says that connections were refused.
fn assert_refused(server: &TestServer, port: &str, limit: u64) {
    let says = |line: &LogLine| line.text("msg").starts_with("connections refused");
    let line = server.log.find(port, |line| says(line) && line.text("port") == port);
    assert_eq!(line.number("limit"), limit);
}

#[test]
fn a_publisher_finds_a_way_back_over_the_limit() {
    let server = TestServer::start(&["--max-connections", "2"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send(&frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(&server, "r");
    assert_eq!(FlvViewer::try_open(&server, "r").expect_err("it is full").status, 503);
    // Its line is dead, and someone else takes its place before it is back.
    publisher.reset();
    server.wait_for_publisher_leaving("r");
    let mut second = open_when_there_is_room(&server);
    assert_eq!(FlvViewer::try_open(&server, "r").expect_err("it is full again").status, 503);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send(&frames::keyframe(0, 1));
    for viewer in [&mut viewer, &mut second] {
        viewer.frames_until(&frames::keyframe(0, 1));
    }
}

#[test]
fn the_reserve_for_publishers() {
    /// More than the reserve of two worker threads.
    const MANY: usize = 100;
    let server = TestServer::start(&["--max-connections", "1", "--handshake-timeout-s", "3"]);
    let _publisher = RtmpPeer::publish(&server, "r");
    let mut silent: Vec<_> = (0..MANY).map(|_| dial(server.rtmp)).collect();
    assert_refused(&server, "rtmp", 1);
    // The reserve is free again when the idle clients were disconnected.
    for socket in &mut silent {
        read_to_close(socket);
    }
    drop(silent);
    poll_until("the reserve is free again", || is_greeted(&server).then_some(()));
    RtmpPeer::publish(&server, "another");
}

/// Returns `true` if the server shakes hands with one more.
fn is_greeted(server: &TestServer) -> bool {
    let mut socket = dial(server.rtmp);
    socket.write_all(&c0_and_c1()).and_then(|()| socket.read_exact(&mut [0; 1])).is_ok()
}

/// The line about a viewer that left may be there a moment before the place is free.
fn open_when_there_is_room(server: &TestServer) -> FlvViewer {
    poll_until("a place is free", || match FlvViewer::try_open(server, "r") {
        Ok(viewer) => Some(viewer),
        Err(refused) => {
            assert_eq!(refused.status, 503);
            None
        }
    })
}

#[test]
fn rooms() {
    let server = TestServer::start(&["--max-rooms", "1", "--publisher-grace-s", "0"]);
    let first = RtmpPeer::publish(&server, "first");
    let refused = RtmpPeer::try_publish(&server, "second").expect_err("it is one room too many");
    assert_eq!(refused.code, "NetStream.Publish.Denied");
    assert!(refused.description.contains("room limit reached (1)"), "{refused:?}");
    find(&server, "publish refused", "room limit reached (1)");
    drop(first);
    server.log.find("stream ended", |line| line.says("stream ended", "first"));
    RtmpPeer::publish(&server, "second");
}

#[test]
fn the_time_for_a_handshake() {
    let server = TestServer::start(&["--handshake-timeout-s", "1"]);
    let mut silent = dial(server.rtmp);
    let mut slow = RawRtmp::dial(&server);
    slow.send(&[3; 700]);
    read_to_close(&mut silent);
    slow.wait_for_end();
    find(&server, "RTMP connection closed", "no handshake within 1 s");
}

#[test]
fn the_time_for_a_request() {
    let server = TestServer::start(&["--handshake-timeout-s", "1"]);
    let mut silent = dial(server.http);
    let mut slow = dial(server.http);
    slow.write_all(b"GET /r.flv HTTP/1.1\r\nX: ").expect("the server takes it");
    read_to_close(&mut silent);
    read_to_close(&mut slow);
}

#[test]
fn the_time_to_publish_or_play() {
    let server = TestServer::start(&["--idle-timeout-s", "3"]);
    RawRtmp::connect(&server).wait_for_end();
    find(&server, "RTMP connection closed", "neither publish nor play within 3 s");
}

#[test]
fn a_frames_size() {
    let server = TestServer::start(&["--max-message-mb", "1"]);
    let mut script = PublisherScript::start(&server, "other", 100);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send(&frames::sized_keyframe(0, 0, 1024 * 1024));
    FlvViewer::open(&server, "r").frames_until(&frames::sized_keyframe(0, 0, 1024 * 1024));
    publisher.send(&frames::sized_inter(40, 1, 2 * 1024 * 1024));
    publisher.wait_for_end();
    let left = server.wait_for_publisher_leaving("r");
    assert!(left.text("why").contains("2097152"), "{left:?}");
    script.steps(3);
}

#[test]
fn a_commands_size() {
    let server = TestServer::start(&["--max-command-kb", "4"]);
    let mut peer = RawRtmp::connect(&server);
    let long = Value::text("a".repeat(5000));
    peer.send(&command(0, &[Value::text("call"), Value::Number(9.0), Value::Null, long]));
    peer.wait_for_end();
    find(&server, "RTMP connection closed", "4096");
}

#[test]
fn messages_that_are_begun_and_never_ended() {
    let server = TestServer::start(&["--max-message-mb", "1"]);
    let mut peer = RawRtmp::publish(&server, "r");
    for csid in 10..40 {
        let begun = message(csid, 9, 1, 0, &vec![0x27; 1_000_000], 1_000_000);
        let Ok(()) = peer.socket.write_all(&chunk_size_then(&begun[..900_000])) else {
            break;
        };
    }
    peer.wait_for_end();
    server.wait_for_publisher_leaving("r");
}

/// A Set Chunk Size in front.
fn chunk_size_then(rest: &[u8]) -> Vec<u8> {
    let size = 1_000_000_u32.to_be_bytes();
    [message(2, SET_CHUNK_SIZE, 0, 0, &size, FIRST_CHUNK_SIZE), rest.to_vec()].concat()
}

#[test]
fn commands_without_end() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::connect(&server);
    let ask = command(0, &[Value::text("_checkbw"), Value::Number(7.0), Value::Null]);
    // The server may close while they still come.
    for _ in 0..40 {
        let _ = peer.socket.write_all(&ask.repeat(100));
    }
    peer.wait_for_end();
    find(&server, "RTMP connection closed", "more than 1000 commands");
}

#[test]
fn replies_that_are_not_read() {
    /// More than all the kernel's buffers between server and peer.
    const PINGS_MAX_BYTES: usize = 256 << 20;
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::publish(&server, "r");
    let ping = [PING_REQUEST, [0; 2], [0; 2]].concat();
    let pings = message(2, USER_CONTROL, 0, 0, &ping, FIRST_CHUNK_SIZE).repeat(10_000);
    for _ in 0..PINGS_MAX_BYTES / pings.len() {
        // The server closes while they still come.
        if peer.socket.write_all(&pings).is_err() {
            break;
        }
    }
    let left = server.wait_for_publisher_leaving("r");
    assert_eq!(left.text("why"), "replies are not read");
}
