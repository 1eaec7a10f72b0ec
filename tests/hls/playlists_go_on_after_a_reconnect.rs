//! A publisher that disconnects and comes back finds its playlist where it left it; numbers never go back.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{rtmp::RtmpPeer, server::TestServer};

use crate::{LONG_GRACE, clip};

#[test]
fn within_the_grace_the_playlist_goes_on_behind_a_discontinuity() {
    let server = TestServer::with_hls(&LONG_GRACE);
    let source = clip(6);
    source.push(&server.rtmp_url("r"));
    let before = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 3);
    assert!(!before.ended, "the publisher may come back");
    source.push(&server.rtmp_url("r"));
    let after = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 6);
    assert_eq!(after.sequence, before.sequence);
    let discontinuities: Vec<_> = after.segments.iter().map(|entry| entry.discontinuity).collect();
    assert_eq!(discontinuities, [false, false, false, true, false, false]);
    assert!(!after.ended);
    server.hls().stream("r", after);
}

#[test]
fn discontinuities_that_leave_the_playlist_are_counted() {
    let server = TestServer::with_hls(&[&LONG_GRACE[..], &["--hls-window", "3"]].concat());
    let source = clip(6);
    source.push(&server.rtmp_url("r"));
    let first = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 3);
    for round in 1..=3 {
        source.push(&server.rtmp_url("r"));
        let playlist =
            server.hls().playlist_when("r", |playlist| playlist.sequence == first.sequence + round * 3);
        let of_last = playlist.discontinuity_sequence + playlist.discontinuities() as u64;
        assert_eq!(of_last, first.discontinuity_sequence + round);
    }
}

#[test]
fn after_the_end_the_next_playlist_is_above_the_old_one() {
    let server = TestServer::with_hls(&[]);
    let source = clip(6);
    source.push(&server.rtmp_url("r"));
    let old = server.hls().whole_stream("r").playlist;
    source.push(&server.rtmp_url("r"));
    let new = server.hls().playlist_when("r", |playlist| playlist.segments[0].uri != old.segments[0].uri);
    assert!(new.sequence >= old.sequence + 3);
    assert!(new.discontinuity_sequence > old.discontinuity_sequence);
    assert!(new.segments[0].discontinuity);
    let old_segment = server.hls().get(&format!("/live/r/{}", old.segments[0].uri));
    assert_eq!(old_segment.status, 200, "players of the old playlist get its segments");
}

/// However fast the stream was pushed: 60 segments take more numbers than the clock gains meanwhile.
#[test]
fn a_restarted_server_does_not_go_back() {
    let storage = tempfile::tempdir().expect("a directory");
    let frames = clip(6).frames();
    let numbers = |rounds: u32| {
        let server = TestServer::with_hls_storage(storage.path(), &[]);
        let mut publisher = RtmpPeer::publish(&server, "r");
        for round in 0..rounds {
            let later =
                |frame: &Frame| Frame { timestamp_ms: frame.timestamp_ms + round * 6_000, ..frame.clone() };
            publisher.send_all(&frames.iter().map(later).collect::<Vec<_>>());
        }
        publisher.unpublish();
        let playlist = server.hls().whole_stream("r").playlist;
        (playlist.sequence, playlist.discontinuity_sequence, playlist.segments.len() as u64)
    };
    let (sequence, discontinuity, count) = numbers(20);
    let (later_sequence, later_discontinuity, _) = numbers(1);
    assert!(later_sequence >= sequence + count, "{later_sequence} after {sequence} and {count} more");
    assert!(later_discontinuity >= discontinuity);
}
