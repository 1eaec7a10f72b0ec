//! Every line of the log is one JSON object, and there are few: peers that connect and disconnect, and why.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    log_book::{self, LogLine},
    publisher_script::PublisherScript,
    rtmp::{RtmpPeer, raw::RawRtmp},
    server::TestServer,
    wait::now,
};

/// The log of a server that has seen publishers, viewers, refusals, nonsense, and a signal to stop.
fn whole_log() -> Vec<String> {
    let server = TestServer::start(&["--max-rooms", "1"]);
    let log = server.log.clone();
    let mut script = PublisherScript::start(&server, "r", 100);
    script.steps(100);
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&script.step());
    drop(viewer);
    script.steps(2);
    server.wait_for_viewer_leaving("r", "http-flv");
    drop(RtmpPeer::play(&server, "r"));
    server.wait_for_viewer_leaving("r", "rtmp");
    request(server.http, "GET", "/absent.flv");
    let _ = RtmpPeer::try_publish(&server, "r");
    let _ = RtmpPeer::try_publish(&server, "another");
    let mut nonsense = RawRtmp::dial(&server);
    nonsense.send(b"GET / HTTP/1.1\r\n\r\n");
    nonsense.wait_for_end();
    drop(script);
    server.wait_for_publisher_leaving("r");
    server.signal("TERM");
    server.wait_for_exit();
    log.lines_to_the_end()
}

#[test]
fn with_the_same_keys_in_every_line_and_none_for_a_frame() {
    let lines = whole_log();
    for line in &lines {
        let LogLine(map) = log_book::parse(line).unwrap_or_else(|| panic!("not JSON: {line}"));
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        for key in ["ts", "level", "target", "msg"] {
            assert!(keys.contains(&key), "no {key} in {line}");
        }
        assert_is_time(map["ts"].as_str().unwrap_or_default());
        let level = map["level"].as_str().unwrap_or_default();
        assert!(["info", "warn"].contains(&level), "{line}");
    }
    assert!(lines.len() < 25, "{} lines:\n{}", lines.len(), lines.join("\n"));
}

/// Such as 2026-01-31T23:59:59.123Z.
fn assert_is_time(ts: &str) {
    let shape: String = ts.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{ts}");
}

#[test]
fn a_line_about_a_peer_that_left_has_reason_duration_and_bytes() {
    let began = now();
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::sized_keyframe(0, 0, 5000));
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::sized_keyframe(0, 0, 5000));
    let came = server.log.find("viewer connected", |line| line.says("viewer connected", "r"));
    assert_eq!(came.text("protocol"), "http-flv");
    let publisher_address = publisher.address().to_string();
    drop(viewer);
    publisher.send(&frames::keyframe(40, 1));
    publisher.send(&frames::keyframe(80, 2));
    let left = server.wait_for_viewer_leaving("r", "http-flv");
    assert_eq!(left.text("peer"), came.text("peer"));
    assert!(left.number("bytes") > 5000);
    assert_eq!((left.number("dropped_tags"), left.number("skips")), (0, 0));
    assert!(!left.text("why").is_empty() && left.number("seconds") <= began.elapsed().as_secs());
    drop(publisher);
    let left = server.wait_for_publisher_leaving("r");
    assert_eq!(left.text("peer"), publisher_address);
    assert!(left.number("bytes") > 5000 && left.number("seconds") <= began.elapsed().as_secs());
    assert_eq!(left.text("why"), "connection closed by the peer");
}

#[test]
fn a_viewer_of_a_silent_stream_who_leaves_is_noticed() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send(&frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    drop(viewer);
    server.wait_for_viewer_leaving("r", "http-flv");
}
