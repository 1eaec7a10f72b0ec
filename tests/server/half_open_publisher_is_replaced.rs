//! A publisher whose connection is half-open does not block its room; one that is only quiet keeps it.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    rtmp::{RtmpPeer, raw::RawRtmp},
    server::TestServer,
};

#[test]
fn by_the_next_publisher_and_viewers_go_on() {
    let server = TestServer::start(&["--publisher-timeout-s", "3"]);
    let mut dead = RtmpPeer::publish(&server, "r");
    dead.send_all(&frames::video_headers());
    dead.send(&frames::keyframe(5000, 1));
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(5000, 1));
    // From here on it sends nothing, and answers no ping, as it reads nothing either.
    let left = server.wait_for_publisher_leaving("r");
    assert_eq!(left.text("why"), "silent for 3 s");
    assert_eq!(left.text("peer"), dead.address().to_string());
    let mut next = RtmpPeer::publish(&server, "r");
    let last = frames::keyframe(0, 2);
    next.send_all(&[frames::video_header(7), last.clone()]);
    let seen = viewer.frames_until(&last);
    assert!(frames::payloads(&seen).contains(&frames::video_header(7).payload));
    assert!(seen.iter().all(|frame| frame.timestamp_ms >= 5000));
    // If it wakes, its connection is closed.
    dead.wait_for_end();
}

#[test]
fn but_not_while_it_answers_pings() {
    let server = TestServer::start(&["--publisher-timeout-s", "4"]);
    let mut quiet = RawRtmp::publish(&server, "r");
    // It is pinged when half of the time is over, so that four pings take longer than all of it.
    (0..4).for_each(|_| quiet.answer_next_ping());
    let refused = RtmpPeer::try_publish(&server, "r").expect_err("the room is not free");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
}
