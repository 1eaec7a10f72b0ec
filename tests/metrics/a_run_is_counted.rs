//! Publishers, viewers, their ends and their refusals are counted, once each.

use synctv_media::rtmp::client::Client;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::send_get,
    metrics::Scrape,
    publisher_script::PublisherScript,
    rtmp::RtmpPeer,
    socket::{dial_with_small_buffer, widen},
};

use crate::server;

#[test]
fn of_publishers_and_viewers() {
    let server = server(&["--publisher-grace-s", "10"]);
    let mut script = PublisherScript::start(&server, "r", 100);
    let mut viewers = [FlvViewer::open(&server, "r"), FlvViewer::open(&server, "r")];
    let mut player = RtmpPeer::play(&server, "r");
    assert_eq!(FlvViewer::try_open(&server, "nothing").unwrap_err().status, 404);
    RtmpPeer::try_publish(&server, "r").expect_err("the room is taken");
    let sent = script.steps(30);
    let last = sent.last().expect("frames were sent");
    viewers.iter_mut().for_each(|viewer| drop(viewer.frames_until(last)));
    player.frames_until(last);
    // The connection that was refused closes when its peer has read why.
    // One of the viewers is the script's.
    let expected = [
        (r#"synctv_connections{port="rtmp"}"#, 2.0),
        (r#"synctv_viewers{protocol="http-flv"}"#, 3.0),
        (r#"synctv_viewers{protocol="rtmp"}"#, 1.0),
        (r#"synctv_rooms{state="published"}"#, 1.0),
    ];
    Scrape::when_all(server.metrics(), &expected);
    drop(script);
    server.wait_for_publisher_leaving("r");
    let mut again = RtmpPeer::publish(&server, "r");
    again.send_all(&frames::headers());
    again.send_all(&[frames::keyframe(0, 1), frames::audio(0, 1), frames::inter(33, 2)]);
    Scrape::when(server.metrics(), "synctv_publisher_gap_seconds_count", 1.0);
    drop((viewers, player));
    server.log.find_nth(3, "three viewers left", |line| {
        line.says("viewer disconnected", "r") && line.text("protocol") == "http-flv"
    });
    server.wait_for_viewer_leaving("r", "rtmp");
    let expected = [
        (r#"synctv_publishes_total{outcome="accepted"}"#, 2.0),
        (r#"synctv_publishes_total{outcome="busy"}"#, 1.0),
        (r#"synctv_publisher_ends_total{why="left"}"#, 1.0),
        (r#"synctv_viewer_joins_total{protocol="http-flv",outcome="accepted"}"#, 3.0),
        (r#"synctv_viewer_joins_total{protocol="rtmp",outcome="accepted"}"#, 1.0),
        (r#"synctv_viewer_joins_total{protocol="http-flv",outcome="not_live"}"#, 1.0),
        (r#"synctv_viewer_leaves_total{protocol="http-flv",why="left"}"#, 3.0),
        (r#"synctv_viewer_leaves_total{protocol="rtmp",why="left"}"#, 1.0),
        (r#"synctv_viewers{protocol="http-flv"}"#, 0.0),
        (r#"synctv_viewers{protocol="rtmp"}"#, 0.0),
        (r#"synctv_first_frame_seconds_count{protocol="http-flv"}"#, 3.0),
        (r#"synctv_first_frame_seconds_count{protocol="rtmp"}"#, 1.0),
        ("synctv_publisher_gap_seconds_count", 1.0),
        ("synctv_viewer_skips_total", 0.0),
        ("synctv_viewer_queue_bytes", 0.0),
        ("synctv_panics_total", 0.0),
    ];
    let end = Scrape::when_all(server.metrics(), &expected);
    assert!(end.value(r#"synctv_sent_bytes_total{protocol="http-flv"}"#) > 2.0 * 30.0 * 100.0);
    assert!(end.value("synctv_ingest_bytes_total") > 30.0 * 100.0);
    assert!(end.value("synctv_publish_to_send_seconds_count") >= 30.0);
}

/// A frame's size: so large that a few fill what the kernel holds for a connection.
const FRAME_BYTES: usize = 64 * 1024;

#[test]
fn of_viewers_who_skip() {
    let server = server(&[]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let socket = dial_with_small_buffer(server.rtmp);
    let mut slow = RtmpPeer::start(socket, Client::player("live", "r")).expect("the play is accepted");
    script.steps(256);
    // The thread counts what it skipped within a second.
    let waits = Scrape::until(server.metrics(), "a skip is counted", |scrape| {
        scrape.value("synctv_viewer_skips_total") >= 1.0
    });
    assert!(waits.value("synctv_viewer_dropped_tags_total") > 0.0);
    widen(slow.socket());
    slow.next_frame().expect("the stream goes on");
    drop(slow);
    let left = server.wait_for_viewer_leaving("r", "rtmp");
    // Nothing waits for one who left.
    let expected = [
        ("synctv_viewer_skips_total", left.number("skips") as f64),
        ("synctv_viewer_dropped_tags_total", left.number("dropped_tags") as f64),
        ("synctv_viewer_queue_bytes", 0.0),
    ];
    Scrape::when_all(server.metrics(), &expected);
}

#[test]
fn of_refused_connections() {
    let server = server(&["--max-connections", "1"]);
    let mut first = dial_with_small_buffer(server.http);
    send_get(&mut first, "/healthz");
    synctv_testkit::http::read_head(&mut first);
    let refused = synctv_testkit::http::request(server.http, "GET", "/api/v1/streams");
    assert_eq!(refused.status, 503);
    let refused = r#"synctv_connections_refused_total{port="httpflv",reason="limit"}"#;
    // The scraper's own connection does not count.
    Scrape::when_all(server.metrics(), &[(refused, 1.0), ("synctv_connections_max", 1.0)]);
}
