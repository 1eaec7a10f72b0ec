//! WebRTC without a browser: one module a promise. Those of the media are in `tests/browser/webrtc_plays.rs`.

mod aiortc_decodes_both_tracks;
mod audio_that_never_plays_holds_no_viewer_back;
mod connections_name_their_session;
mod h265_reaches_players;
mod ice_servers_are_named;
mod media_follows_a_viewer_that_moves;
mod offers_are_answered;
mod refusals_are_counted;
mod rooms_say_what_webrtc_carries;
mod settings_are_checked;
mod tokens_open_sessions;
mod viewer;
mod viewers_who_do_not_connect_are_reported;

use synctv_testkit::{
    frames,
    rtmp::{Client, RtmpPeer},
    server::TestServer,
    socket::dial,
};

/// Starts a server with WebRTC at a port that the system chooses.
fn start(flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--rtc-addr", "127.0.0.1:0"], flags].concat())
}

/// Publishes a keyframe of H.264 under a stream name, which may have a query.
fn publish(server: &TestServer, stream_name: &str) -> RtmpPeer {
    let client = Client::publisher("live", stream_name);
    let mut publisher = RtmpPeer::start(dial(server.rtmp), client).expect("it is allowed");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    publisher
}
