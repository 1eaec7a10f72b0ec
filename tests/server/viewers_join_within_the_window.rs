//! A viewer starts at the oldest cached keyframe within the join window, else at the newest: at once, and not far
//! behind. The cache keeps no more than it may.

use std::time::Duration;

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::{FlvViewer, Next},
    frames,
    log_book::LogLine,
    rtmp::RtmpPeer,
    server::TestServer,
};

/// Keyframes at these times, and another frame right behind each.
fn gops(keyframe_times_ms: &[u32]) -> Vec<Frame> {
    let gop =
        |time_ms: &u32| [frames::keyframe(*time_ms, *time_ms), frames::inter(time_ms + 20, time_ms + 20)];
    keyframe_times_ms.iter().flat_map(gop).collect()
}

/// Publishes keyframes at 0, 400, 800 and 1200 ms, and gives the time of the first frame that a late viewer gets, and
/// how many come up to the newest.
fn join_after_four_gops(flags: &[&str]) -> (u32, usize) {
    let server = TestServer::start(flags);
    let (_publisher, sent) = published(&server, &[0, 400, 800, 1200]);
    let mut late = FlvViewer::open(&server, "r");
    let seen = late.frames_until(sent.last().expect("something was sent"));
    let header = seen.iter().find(|frame| frames::is_sequence_header(frame)).expect("there is one");
    let headers_ms = header.timestamp_ms;
    let coded: Vec<Frame> = seen.into_iter().filter(frames::is_coded).collect();
    assert!(frames::is_keyframe(&coded[0]));
    assert_eq!(headers_ms, coded[0].timestamp_ms, "headers carry the join point's time");
    (coded[0].timestamp_ms, coded.len())
}

/// Returns a publisher whose GOPs have all passed through the server.
fn published(server: &TestServer, keyframe_times_ms: &[u32]) -> (RtmpPeer, Vec<Frame>) {
    let mut publisher = RtmpPeer::publish(server, "r");
    let mut early = FlvViewer::open(server, "r");
    let sent = gops(keyframe_times_ms);
    publisher.send_all(&frames::video_headers());
    for frame in &sent {
        publisher.send(frame);
        early.frames_until(frame);
    }
    (publisher, sent)
}

#[test]
fn at_the_oldest_keyframe_of_the_cache_that_is_in_the_window() {
    assert_eq!(join_after_four_gops(&[]), (800, 4), "two GOPs are kept");
    let all = ["--max-gops", "10", "--join-window-ms", "10000"];
    assert_eq!(join_after_four_gops(&all), (0, 8));
    let second = ["--max-gops", "10", "--join-window-ms", "1000"];
    assert_eq!(join_after_four_gops(&second), (400, 6));
}

#[test]
fn at_the_newest_keyframe_when_none_is_in_the_window() {
    assert_eq!(join_after_four_gops(&["--join-window-ms", "0"]), (1200, 2));
}

#[test]
fn at_the_next_keyframe_when_nothing_is_cached() {
    let server = TestServer::start(&["--enable-gop-cache", "false"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    let mut keyframe_times_ms = (0..).step_by(400);
    let mut early = FlvViewer::open(&server, "r");
    let (past, _) = publish_until_seen(&mut publisher, &mut early, &mut keyframe_times_ms);
    early.frames_until(past.last().expect("something was sent"));

    let mut late = FlvViewer::open(&server, "r");
    let (_, first) = publish_until_seen(&mut publisher, &mut late, &mut keyframe_times_ms);
    let mut seen = vec![first];
    while !seen.last().is_some_and(frames::is_coded) {
        seen.extend(late.next_frame());
    }
    assert!(seen.last().is_some_and(frames::is_keyframe));
    assert!(!seen.iter().any(|frame| past.contains(frame)), "nothing was kept");
    assert_eq!(seen.len(), 3, "metadata and a sequence header are in front of it");
}

/// Publishes GOPs until the viewer has something of them: its join may be behind the first ones, as the response's
/// head goes out before it. Returns what was sent, and what the viewer saw first.
fn publish_until_seen(
    publisher: &mut RtmpPeer,
    viewer: &mut FlvViewer,
    keyframe_times_ms: &mut impl Iterator<Item = u32>,
) -> (Vec<Frame>, Frame) {
    let mut sent = Vec::new();
    loop {
        let gop = gops(&[keyframe_times_ms.next().unwrap_or_default()]);
        publisher.send_all(&gop);
        sent.extend(gop);
        if let Next::Frame(first) = viewer.next(Duration::from_millis(500)) {
            return (sent, first);
        }
    }
}

#[test]
fn a_gop_that_is_larger_than_the_cache_is_warned_of_once_and_viewers_wait_for_the_next() {
    let server = TestServer::start(&["--max-gop-cache-size-mb", "1", "--viewer-queue-mb", "64"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut early = FlvViewer::open(&server, "r");
    publisher.send_all(&frames::video_headers());
    let large = [frames::keyframe(0, 0), frames::sized_inter(40, 40, 2 << 20), frames::inter(80, 80)];
    for frame in &large {
        publisher.send(frame);
        early.frames_until(frame);
    }
    let mut late = FlvViewer::open(&server, "r");
    let next = frames::keyframe(120, 120);
    publisher.send(&next);
    let seen = late.frames_until(&next);
    assert!(!seen.iter().any(|frame| large.contains(frame)));
    let warned = |line: &LogLine| line.text("msg").contains("larger than the cache");
    server.log.find_only("the warning", warned);
}
