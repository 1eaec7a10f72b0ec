//! The metrics of a node, as Prometheus scrapes them: one module a promise.

mod a_run_is_counted;
mod documents_are_complete;
mod hls_viewers_are_counted;
mod monitoring_fits_the_node;
mod rooms_are_bounded;
mod scrapes_are_answered;
mod settings_are_checked;

use synctv_testkit::{
    flv::FlvViewer, metrics::Scrape, publisher_script::PublisherScript, rtmp::RtmpPeer, server::TestServer,
};

/// Starts a server with metrics, and further flags.
fn server(flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--metrics-addr", "127.0.0.1:0"], flags].concat())
}

/// A publisher and viewers, for as long as they are kept.
struct Peers {
    _script: PublisherScript,
    _viewer: FlvViewer,
    _player: RtmpPeer,
}

/// Starts a server that has counted something in each of its histograms, and one room with series of its own.
fn busy_server() -> (TestServer, Peers) {
    let server = TestServer::with_hls(&["--metrics-addr", "127.0.0.1:0", "--metrics-rooms", "1"]);
    let mut script = PublisherScript::start(&server, "r", 100);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    let sent = script.steps(2);
    viewer.frames_until(&sent[1]);
    player.frames_until(&sent[1]);
    Scrape::when(server.metrics(), r#"synctv_first_frame_seconds_count{protocol="rtmp"}"#, 1.0);
    (server, Peers { _script: script, _viewer: viewer, _player: player })
}
