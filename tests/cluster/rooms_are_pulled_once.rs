//! A node fetches a room of another node once for all its viewers, and stops after the last of them leaves.

use std::time::Duration;

use synctv_testkit::{
    flv::FlvViewer, frames, http::send_get, log_book::LogLine, redis::Redis, rtmp::RtmpPeer,
    server::TestServer, socket::dial,
};

use crate::node;

/// Times in the log are in milliseconds.
const CLOCK_STEP: Duration = Duration::from_millis(1);

/// Time that a pull outlives its last viewer.
const LINGER: Duration = Duration::from_secs(2);

/// Other nodes have connected to the origin so often. A line may reach the log after the media that it is about.
fn assert_pulled(origin: &TestServer, times: usize) {
    let is_pull = |line: &LogLine| line.says("viewer connected", "r") && line.text("protocol") == "pull";
    origin.log.find_nth(times, "the pull", is_pull);
    assert_eq!(origin.log.count(is_pull), times);
}

#[test]
fn for_fifty_viewers_who_come_at_once() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &redis.url(), &[]));
    let first = frames::keyframe(0, 0);
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&first);
    FlvViewer::open(&n1, "r").frames_until(&first);

    let asked = (0..50).map(|_| {
        let mut socket = dial(n2.http);
        send_get(&mut socket, "/r.flv");
        socket
    });
    let asked: Vec<_> = asked.collect();
    let mut viewers: Vec<_> = asked.into_iter().map(FlvViewer::of).collect();
    for viewer in &mut viewers {
        viewer.frames_until(&first);
    }
    let sent: Vec<_> =
        (1..100).flat_map(|at| [frames::inter(at * 40, at), frames::audio(at * 40, 1000 + at)]).collect();
    publisher.send_all(&sent);
    publisher.send(&frames::inter(4000, 100));
    for viewer in &mut viewers {
        let seen = viewer.frames_until(&frames::inter(4000, 100));
        let coded: Vec<_> = seen.into_iter().filter(frames::is_coded).collect();
        assert!(coded[..coded.len() - 1] == sent, "all of it, in order");
    }
    assert_pulled(&n1, 1);
    n2.log.find_only("the pull", |line| line.says("pull began", "r"));
}

#[test]
fn until_a_while_after_the_last_viewer_left() {
    let redis = Redis::start(&[]);
    let n1 = node("n1", &redis.url(), &[]);
    let n2 = node("n2", &redis.url(), &["--pull-linger-s", &LINGER.as_secs().to_string()]);
    let first = frames::keyframe(0, 0);
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&first);
    FlvViewer::open(&n1, "r").frames_until(&first);

    FlvViewer::open(&n2, "r").frames_until(&first);
    n2.wait_for_viewer_leaving("r", "http-flv");
    let mut back = FlvViewer::open(&n2, "r");
    back.frames_until(&first);
    assert_pulled(&n1, 1);

    drop(back);
    let left = n2.log.find_nth(2, "the last viewer left", |line| line.says("viewer disconnected", "r"));
    let ended = n2.log.find("the pull is over", |line| line.says("stream ended", "r"));
    let lasted = ended.time_since(&left);
    assert!(lasted >= LINGER - CLOCK_STEP, "{lasted:?}");
    n1.wait_for_viewer_leaving("r", "pull");
    FlvViewer::open(&n2, "r").frames_until(&first);
    assert_pulled(&n1, 2);
}
