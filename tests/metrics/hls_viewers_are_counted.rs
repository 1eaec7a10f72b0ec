//! Viewers over HLS are counted by their requests, and shown where viewers are.

use synctv_testkit::{http::request, metrics::Scrape, server::TestServer, tools};

#[test]
fn in_metrics_and_in_the_api() {
    let server = TestServer::with_hls(&["--metrics-addr", "127.0.0.1:0", "--metrics-rooms", "1"]);
    let _push = tools::push_clip(&server, "r");
    server.wait_for_publisher("r");
    server.hls().playlist_when("r", |playlist| !playlist.segments.is_empty());
    let playlists = r#"synctv_hls_requests_total{kind="playlist",source="here",code="2xx"}"#;
    // A segment is listed, and a request answered, before it is counted.
    Scrape::until(server.metrics(), "a segment and a playlist are counted", |scrape| {
        scrape.value("synctv_hls_segments_total") >= 1.0 && scrape.value(playlists) >= 1.0
    });
    Scrape::when_all(
        server.metrics(),
        &[
            (r#"synctv_viewers{protocol="hls"}"#, 1.0),
            (r#"synctv_viewer_joins_total{protocol="hls",outcome="accepted"}"#, 1.0),
            (r#"synctv_room_viewers{room="r"}"#, 1.0),
            ("synctv_hls_held_requests", 0.0),
        ],
    );
    let stream = request(server.http, "GET", "/api/v1/streams/r").json();
    assert_eq!(stream["details"]["viewers"], 1, "{stream}");
    server.hls().get("/live/nothing/index.m3u8");
    let refused = r#"synctv_viewer_joins_total{protocol="hls",outcome="not_live"}"#;
    Scrape::until(server.metrics(), "the refusal is counted", |scrape| scrape.value(refused) >= 1.0);
}
