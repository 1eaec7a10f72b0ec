//! Viewers over HLS are counted by their requests, and shown where viewers are.

use synctv_media::{
    access::{Action, Secret, SignedKey},
    stream::room::RoomName,
};
use synctv_testkit::{
    frames,
    http::request,
    metrics::Scrape,
    rtmp::{Client, RtmpPeer},
    server::TestServer,
    socket::dial,
    tools,
    wait::poll_until,
};

const VIEWERS: &str = r#"synctv_viewers{protocol="hls"}"#;
const JOINS: &str = r#"synctv_viewer_joins_total{protocol="hls",outcome="accepted"}"#;

const SECRET: &str = "the secret of the tests which has 32 bytes or more";

/// Asks for the playlist.
fn watch(server: &TestServer, query: &str, authorization: &str) {
    let path = format!("/live/r/index.m3u8{query}");
    let answer = server.hls().request("GET", &path, &[("Authorization", authorization)]);
    assert_eq!(answer.status, 200, "{path}");
}

fn assert_viewers(server: &TestServer, viewers: f64) {
    let scrape = Scrape::of(server.metrics());
    assert_eq!((scrape.value(VIEWERS), scrape.value(JOINS)), (viewers, viewers));
}

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
            (VIEWERS, 1.0),
            (JOINS, 1.0),
            (r#"synctv_room_viewers{room="r"}"#, 1.0),
            ("synctv_hls_held_requests", 0.0),
        ],
    );
    let stream = request(server.http, "GET", "/api/v1/streams/r").json();
    assert_eq!(stream["details"]["viewers"], 1, "{stream}");
    server.hls().get("/live/nothing/index.m3u8");
    let refused = r#"synctv_viewer_joins_total{protocol="hls",outcome="not_live"}"#;
    Scrape::until(server.metrics(), "the refusal is counted", |scrape| scrape.value(refused) >= 1.0);
    // Where anyone may watch, anyone can make up tokens.
    for number in 0..5 {
        watch(&server, &format!("?token=t{number}"), &format!("Bearer t{number}"));
    }
    assert_viewers(&server, 1.0);
}

#[test]
fn by_their_addresses_and_the_credentials_that_let_them_in() {
    let server = TestServer::with_hls(&["--metrics-addr", "127.0.0.1:0", "--token-secret", SECRET]);
    let (secret, room) = (Secret::new(SECRET.as_bytes()).unwrap(), RoomName::new("r").unwrap());
    let key = |action, expires| SignedKey::make(&secret, action, &room, expires).to_string();
    let stream_name = format!("r?key={}", key(Action::Publish, 0));
    let mut publisher = RtmpPeer::start(dial(server.rtmp), Client::publisher("live", &stream_name)).unwrap();
    publisher.send_all(&frames::video_headers());
    publisher.send_all(&[0, 2_500, 5_000].map(|at_ms| frames::keyframe(at_ms, at_ms)));
    let (one, other) = (key(Action::Play, 0), key(Action::Play, 4_000_000_000));
    poll_until("the playlist is there", || {
        (server.hls().get(&format!("/live/r.m3u8?key={one}")).status == 200).then_some(())
    });
    watch(&server, &format!("?key={one}&token=t"), "Basic t");
    watch(&server, "?token=t", &format!("bearer  {one}"));
    assert_viewers(&server, 1.0);
    watch(&server, &format!("?key={other}"), "");
    assert_viewers(&server, 2.0);
}
