//! A publisher that disconnects and comes back finds its playlist where it left it; numbers never go back.

use synctv_testkit::server::TestServer;

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

#[test]
fn a_restarted_server_does_not_go_back() {
    let source = clip(6);
    let numbers = || {
        let server = TestServer::with_hls(&[]);
        source.push(&server.rtmp_url("r"));
        let playlist = server.hls().whole_stream("r").playlist;
        (playlist.sequence + 3, playlist.discontinuity_sequence)
    };
    let (sequence_after, discontinuity) = numbers();
    let (later_sequence_after, later_discontinuity) = numbers();
    assert!(later_sequence_after - 3 >= sequence_after && later_discontinuity >= discontinuity);
}
