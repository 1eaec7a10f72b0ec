//! HLS from end to end: what is pushed over RTMP is what players get, whatever happens in between.

mod any_node_serves_any_room;
mod clocks_overflow_unnoticed;
mod connections_last;
mod every_frame_is_in_a_segment;
mod failing_disks_do_not_end_streams;
mod first_requests_wait_for_segments;
mod frames_come_before_segments;
mod held_requests_end;
mod http_answers;
mod other_codecs_are_in_fragmented_mp4;
mod parts_come_before_their_segment;
mod playlists_go_on_after_a_reconnect;
mod segments_go_on_while_a_track_pauses;

use synctv_testkit::{
    flv::FlvViewer, nodes::CLUSTER_SECRET, rtmp::RtmpPeer, server::TestServer, tools::Encoded,
};

/// Outlasts every test.
const LONG_GRACE: [&str; 2] = ["--publisher-grace-s", "600"];

/// H.264 with a keyframe every two seconds, and AAC.
fn clip(duration_s: u32) -> Encoded {
    Encoded::new(duration_s, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac")
}

/// A server with a room `r` that has three segments, and the path of the second one. Its publisher may come back.
fn server_with_segments() -> (TestServer, String) {
    // So that a node beside it may ask it.
    let server = TestServer::with_hls(&[&LONG_GRACE[..], &["--cluster-secret", CLUSTER_SECRET]].concat());
    clip(6).push(&server.rtmp_url("r"));
    let playlist = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 3);
    let segment = format!("/live/r/{}", playlist.segments[1].uri);
    (server, segment)
}

/// Returns what `ask` does, which begins HLS on demand, while the room `r` is published as fast as a viewer gets it.
fn ask_while_publishing<T: Send>(server: &TestServer, ask: impl FnOnce() -> T + Send) -> T {
    let mut publisher = RtmpPeer::publish(server, "r");
    let frames = clip(6).frames();
    let (before, after) = frames.split_at(frames.len() / 2);
    publisher.send_all(before);
    let mut viewer = FlvViewer::open(server, "r");
    std::thread::scope(|scope| {
        let asked = scope.spawn(ask);
        while !asked.is_finished() {
            publisher.send_all(after);
            viewer.frames_until(after.last().unwrap());
        }
        asked.join().unwrap()
    })
}
