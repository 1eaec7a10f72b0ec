//! HLS goes on over an upgrade: the same segments, no discontinuity, and every frame in one of them.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{frames, rtmp::RtmpPeer};

use crate::installed::Installed;

/// Frames of a second.
const RATE: u32 = 25;

fn frame(number: u32) -> Frame {
    let at_ms = number * 1000 / RATE;
    if number.is_multiple_of(RATE) { frames::keyframe(at_ms, number) } else { frames::inter(at_ms, number) }
}

#[test]
fn in_files() {
    go_on(&[]);
}

#[test]
fn in_memory_alone() {
    // What is deleted within half a minute is never written.
    go_on(&["--hls-window", "30"]);
}

fn go_on(flags: &[&str]) {
    let storage = tempfile::tempdir().expect("a directory for segments");
    let path = storage.path().to_str().expect("its path is text");
    let mut installed = Installed::start(flags, &[("HLS", "always"), ("HLS_STORAGE", path)]);
    let hls = installed.server.hls();
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    // The upgrade is within a segment.
    publisher.send_all(&(0..5 * RATE + 7).map(frame).collect::<Vec<_>>());
    let before = hls.playlist_when("r", |playlist| playlist.segments.len() == 3);
    let bytes_of = |uri: &str| {
        let answer = hls.get(&format!("/live/r/{uri}"));
        assert_eq!(answer.status, 200, "{uri}");
        answer.body
    };
    let bytes: Vec<_> = before.segments.iter().map(|entry| bytes_of(&entry.uri)).collect();
    installed.upgrade();
    let same = hls.playlist("r");
    assert_eq!(same, before, "nothing was sent since");
    for (entry, bytes) in before.segments.iter().zip(bytes) {
        assert!(bytes_of(&entry.uri) == bytes, "{}", entry.uri);
    }
    publisher.send_all(&(5 * RATE + 7..10 * RATE).map(frame).collect::<Vec<_>>());
    let after = hls.playlist_when("r", |playlist| playlist.segments.len() >= 5);
    assert_eq!(after.segments[..before.segments.len()], before.segments, "{after:?}");
    assert_eq!((after.sequence, after.discontinuities()), (before.sequence, before.discontinuities()));
    // Each segment continues the one before to the packet.
    hls.stream("r", after);
    installed.server.assert_unhurt();
}

#[test]
fn of_a_room_that_is_vacant_meanwhile() {
    let storage = tempfile::tempdir().expect("a directory for segments");
    let path = storage.path().to_str().expect("its path is text");
    let flags = ["--publisher-grace-s", "60"];
    let mut installed = Installed::start(&flags, &[("HLS", "always"), ("HLS_STORAGE", path)]);
    let hls = installed.server.hls();
    let publish = |installed: &Installed, numbers: std::ops::Range<u32>| {
        let mut publisher = RtmpPeer::publish(&installed.server, "r");
        publisher.send_all(&frames::video_headers());
        publisher.send_all(&numbers.map(frame).collect::<Vec<_>>());
        publisher
    };
    publish(&installed, 0..4 * RATE + 7).unpublish();
    installed.server.wait_for_publisher_leaving("r");
    // The last one ends with the publication.
    let before = hls.playlist_when("r", |playlist| playlist.segments.len() >= 3);
    installed.upgrade();
    let _publisher = publish(&installed, 0..5 * RATE + 1);
    let after = hls.playlist_when("r", |playlist| playlist.segments.len() >= before.segments.len() + 2);
    assert_eq!(after.segments[..before.segments.len()], before.segments, "{after:?}");
    assert_eq!((after.sequence, after.discontinuities()), (before.sequence, before.discontinuities() + 1));
    installed.server.assert_unhurt();
}
