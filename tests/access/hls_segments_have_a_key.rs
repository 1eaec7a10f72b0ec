//! A playlist needs the viewer's credential; the segments in it carry one key for all viewers, so that players that send
//! no header of ours can fetch them, and caches see one address.

use serde_json::json;
use synctv_media::access::Action;
use synctv_testkit::{
    hls::Playlist,
    http::Response,
    nodes::{CLUSTER_SECRET, pull_signature},
    server::TestServer,
    tools::Encoded,
    wait::poll_until,
};

use crate::{SECRET, key, token};

/// A server with a room that has segments.
fn live() -> TestServer {
    let flags = ["--token-secret", SECRET, "--cluster-secret", CLUSTER_SECRET, "--publisher-grace-s", "60"];
    let server = TestServer::with_hls(&flags);
    let source = Encoded::new(6, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac");
    source.push(&format!("{}?key={}", server.rtmp_url("r"), key("r", Action::Publish)));
    server
}

fn playlist(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Response {
    poll_until("the playlist has segments", || {
        let answer = server.hls().request("GET", &format!("/live/r/index.m3u8{query}"), headers);
        assert!(matches!(answer.status, 200 | 404 | 503), "{}", answer.status);
        (answer.status == 200 && Playlist::parse(&answer.text()).segments.len() == 3).then_some(answer)
    })
}

#[test]
fn native_players_fetch_segments_with_nothing_but_their_addresses() {
    let server = live();
    let text = playlist(&server, &format!("?key={}", key("r", Action::Play)), &[]);
    for entry in Playlist::parse(&text.text()).segments {
        let path = format!("/live/r/{}", entry.uri);
        assert!(entry.uri.contains("?key="), "{}", entry.uri);
        let segment = server.hls().get(&path);
        assert_eq!(segment.status, 200);
        assert_eq!(segment.header("cache-control"), "public, max-age=86400, immutable");
        let bare = entry.uri.split('?').next().unwrap();
        assert_eq!(server.hls().get(&format!("/live/r/{bare}")).status, 401);
        assert_eq!(server.hls().get(&format!("/live/other/{}", entry.uri)).status, 401);
        let of_viewer = format!("/live/r/{bare}?token={}", token("r", "play", json!({})));
        assert_eq!(server.hls().get(&of_viewer).status, 200);
        let authorization = format!("Bearer {}", token("r", "play", json!({})));
        let private =
            server.hls().request("GET", &format!("/live/r/{bare}"), &[("Authorization", &authorization)]);
        assert_eq!(
            (private.status, private.header("cache-control")),
            (200, "private, max-age=86400, immutable")
        );
    }
}

#[test]
fn all_viewers_get_the_same_playlist_and_tag() {
    let server = live();
    let (one, other) = (token("r", "play", json!({})), token("*", "play", json!({ "sub": "s" })));
    let first = playlist(&server, &format!("?token={one}"), &[]);
    let authorization = format!("Bearer {other}");
    let second = playlist(&server, "", &[("Authorization", &authorization)]);
    // Five minutes may end between the two.
    let same = first.header("etag") == second.header("etag");
    assert_eq!(first.body == second.body, same);
    assert!(!first.text().contains(&one), "a viewer's own token is nobody else's business");
    let known = server.hls().request(
        "GET",
        &format!("/live/r/index.m3u8?token={one}"),
        &[("If-None-Match", second.header("etag"))],
    );
    assert_eq!(known.status == 304, same);
}

#[test]
fn a_playlist_without_a_valid_token_is_refused() {
    let server = live();
    playlist(&server, &format!("?key={}", key("r", Action::Play)), &[]);
    for (path, status, code) in [
        ("/live/r/index.m3u8".to_owned(), 401, "token_missing"),
        ("/live/nowhere/index.m3u8".to_owned(), 401, "token_missing"),
        (format!("/live/r.m3u8?token={}", token("s", "play", json!({}))), 403, "wrong_room"),
        (format!("/live/r.m3u8?token={}", token("r", "publish", json!({}))), 403, "not_allowed"),
        (format!("/live/r.m3u8?token={}", token("r", "play", json!({ "exp": 9 }))), 401, "token_expired"),
        ("/live/r/seg-1.ts?key=1.aaaaaaaaaaaaaaaaaaaaaa".to_owned(), 401, "token_invalid"),
    ] {
        let answer = server.hls().get(&path);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(code)), "{path}");
    }
    assert_eq!(server.hls().request("OPTIONS", "/live/r/index.m3u8", &[]).status, 204);
}

#[test]
fn nodes_get_the_playlist_as_it_is_without_a_viewers_token() {
    let server = live();
    playlist(&server, &format!("?key={}", key("r", Action::Play)), &[]);
    let path = "/live/r/index.m3u8";
    let pull = |signature: &str| server.hls().request("GET", path, &[("Synctv-Pull", signature)]);
    let of_node = pull(&pull_signature("GET", "localhost", path));
    assert_eq!(of_node.status, 200);
    assert!(!of_node.text().contains("key="));
    for signature in [
        "me",
        &pull_signature("GET", "localhost", "/live/r.m3u8"),
        &pull_signature("HEAD", "localhost", path),
    ] {
        let refused = pull(signature);
        assert_eq!((refused.status, refused.json()["error"].as_str()), (403, Some("not_a_node")));
    }
}
