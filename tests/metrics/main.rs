//! The metrics of a node, as Prometheus scrapes them: one module a promise.

mod a_run_is_counted;
mod documents_are_complete;
mod hls_viewers_are_counted;
mod monitoring_fits_the_node;
mod publishers_that_move_are_counted;
mod rooms_are_bounded;
mod scrapes_are_answered;
mod settings_are_checked;

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    metrics::Scrape,
    publisher_script::{self, PublisherScript},
    rtmp::RtmpPeer,
    server::TestServer,
    tls::TestAuthority,
    wait::poll_until,
};

/// Starts a server with metrics, and further flags.
fn server(flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--metrics-addr", "127.0.0.1:0"], flags].concat())
}

/// Metrics that only a node of a cluster has, or one that asks an identity provider or `AUTH_URL`.
const NOT_ALWAYS: [&str; 5] = [
    "synctv_auth_callback_seconds",
    "synctv_auth_jwks_age_seconds",
    "synctv_move_gap_seconds",
    "synctv_pull_open_seconds",
    "synctv_registry_lease_age_seconds",
];

/// A publisher and viewers, for as long as they are kept.
struct Peers {
    _authority: TestAuthority,
    _publisher: RtmpPeer,
    _viewer: FlvViewer,
    _player: RtmpPeer,
}

/// Starts a server with TLS and a callback, which has counted something in each of its histograms that need no other node,
/// and has one room with series of its own.
fn busy_server() -> (TestServer, Peers) {
    let authority = TestAuthority::new();
    let (tls, rooms) = (authority.flags(), ["--metrics-addr", "127.0.0.1:0", "--metrics-rooms", "1"]);
    let callback = ["--auth-url", "http://127.0.0.1:1/", "--publish-access", "open", "--play-access", "open"];
    let times = ["--publisher-grace-s", "60"];
    let flags = tls.iter().map(String::as_str).chain(rooms).chain(callback).chain(times);
    let flags: Vec<&str> = flags.collect();
    let server = TestServer::with_hls(&flags);
    let _ = authority.dial(server.tls());
    let mut script = PublisherScript::start(&server, "r", 100);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    // Three GOPs of a second, of which HLS makes segments.
    let sent = script.steps(3 * publisher_script::GOP);
    viewer.frames_until(&sent[1]);
    player.frames_until(&sent[1]);
    poll_until("segments are finished, and timers are measured", || {
        let scrape = Scrape::of(server.metrics());
        scrape.get("synctv_hls_segment_seconds_count").and(scrape.get("synctv_worker_lag_seconds_count"))
    });
    let PublisherScript { publisher, .. } = script;
    drop(publisher);
    server.wait_for_publisher_leaving("r");
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    Scrape::when(server.metrics(), "synctv_publisher_gap_seconds_count", 1.0);
    Scrape::when(server.metrics(), r#"synctv_first_frame_seconds_count{protocol="rtmp"}"#, 1.0);
    (server, Peers { _authority: authority, _publisher: publisher, _viewer: viewer, _player: player })
}
