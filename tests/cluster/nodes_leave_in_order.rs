//! A node that gets a signal to stop hands its rooms to others before it exits, and refuses new ones.

use synctv_testkit::{
    flv::FlvViewer, frames, http::request, redis::Redis, rtmp::RtmpPeer, server::TestServer, wait::poll_until,
};

use crate::{LONG_LEASE, node, publish_when_free};

fn status(server: &TestServer, path: &str) -> (u16, String) {
    let answer = request(server.http, "GET", path);
    (answer.status, answer.text())
}

#[test]
fn its_publisher_moves_and_its_viewers_follow() {
    let redis = Redis::start(&[]);
    let flags = [LONG_LEASE, ["--drain-timeout-s", "60"]].concat();
    let (n1, n2) = (node("n1", &redis.url(), &flags), node("n2", &redis.url(), &flags));
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(5000, 1));
    let mut viewer = FlvViewer::open(&n1, "r");
    let mut seen = viewer.frames_until(&frames::keyframe(5000, 1));

    n1.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    let mut publisher = publish_when_free(&n2, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 2));
    seen.extend(viewer.frames_until(&frames::keyframe(0, 2)));
    frames::assert_never_back(&seen);

    let (ready, body) = status(&n1, "/readyz");
    assert!(ready == 503 && body.contains("draining"), "{ready} {body}");
    assert_eq!(status(&n1, "/healthz").0, 200);
    let refused = RtmpPeer::try_publish(&n1, "other").expect_err("it takes no publishers");
    assert!(refused.description.contains("node is draining"), "{refused:?}");
    assert_eq!(status(&n1, "/r.flv").0, 503);
    assert_eq!(redis.ask(&["EXISTS", "node:n1"]), ["0"]);

    // It waited for the viewer.
    drop(viewer);
    assert_eq!(n1.wait_for_exit().code(), Some(0));
}

#[test]
fn its_viewers_are_disconnected_at_the_drain_timeout() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &["--drain-timeout-s", "1"]), node("n2", &redis.url(), &[]));
    let mut publisher = RtmpPeer::publish(&n2, "r");
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&n1, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    n1.signal("TERM");
    assert_eq!(n1.wait_for_exit().code(), Some(0));
    assert!(viewer.frames_to_the_end().is_empty());
    publisher.send(&frames::keyframe(40, 2));
    FlvViewer::open(&n2, "r").frames_until(&frames::keyframe(40, 2));
}

#[test]
fn a_second_signal_cuts_the_waiting_short() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &["--drain-timeout-s", "3600"]), node("n2", &redis.url(), &[]));
    let mut publisher = RtmpPeer::publish(&n2, "r");
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&n1, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    n1.signal("TERM");
    // It has given its rooms back, and waits for the viewer.
    poll_until("it drains", || status(&n1, "/readyz").1.contains("draining").then_some(()));
    n1.signal("INT");
    let log = n1.log.clone();
    assert_eq!(n1.wait_for_exit().code(), Some(0));
    assert!(viewer.frames_to_the_end().is_empty());
    let stopped = log.find("drain cut short", |line| line.text("msg") == "drain cut short");
    assert_eq!(stopped.text("signal"), "SIGINT");
}

#[test]
fn readiness_follows_redis_and_liveness_does_not() {
    let mut redis = Redis::start(&[]);
    let n1 = node("n1", &redis.url(), &[]);
    assert_eq!(status(&n1, "/readyz"), (200, r#"{"status":"ready"}"#.to_owned()));
    redis.kill();
    poll_until("it is not ready", || (status(&n1, "/readyz").0 == 503).then_some(()));
    assert_eq!(status(&n1, "/healthz"), (200, r#"{"status":"alive"}"#.to_owned()));
    redis.start_again();
    poll_until("it is ready", || (status(&n1, "/readyz").0 == 200).then_some(()));
}
