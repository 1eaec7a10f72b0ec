//! Behind a trusted proxy, the API names the address that the proxy says, which has HLS as well.

use serde_json::{Value, json};
use synctv_testkit::{http::request_with, server::TestServer};

const SAID: [(&str, &str); 3] =
    [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "tv.example"), ("X-Forwarded-For", "203.0.113.9")];

fn about(server: &TestServer) -> Value {
    request_with(server.http, "GET", "/api/v1/server", &SAID).json()
}

fn policy(server: &TestServer) -> String {
    request_with(server.http, "GET", "/watch/r", &SAID).header("content-security-policy").to_owned()
}

#[test]
fn its_scheme_and_host_are_in_the_addresses() {
    let server = TestServer::with_hls(&["--trust-proxy", "127.0.0.0/8"]);
    let found = about(&server);
    assert_eq!((&found["http_url"], &found["hls_url"]), (&json!("https://tv.example"), &found["http_url"]));
    assert_eq!(found["rtmp_url"], Value::Null, "RTMP does not come through it");
    assert!(policy(&server).contains("connect-src 'self';"), "{}", policy(&server));
    let playlist = request_with(server.http, "GET", "/live/r/index.m3u8", &SAID);
    assert_eq!((playlist.status, &playlist.json()["error"]), (404, &json!("room_not_live")), "HLS is here");
    let direct = request_with(server.http, "GET", "/api/v1/server", &[]).json();
    assert_eq!(
        (&direct["http_url"], &direct["hls_url"]),
        (&Value::Null, &Value::Null),
        "no proxy, no address"
    );
}

#[test]
fn what_the_operator_set_comes_first() {
    let flags = [
        "--trust-proxy",
        "127.0.0.1",
        "--public-hls-url",
        "https://hls.example",
        "--public-http-url",
        "https://b",
    ];
    let found = about(&TestServer::with_hls(&flags));
    assert_eq!((&found["http_url"], &found["hls_url"]), (&json!("https://b"), &json!("https://hls.example")));
}

#[test]
fn anyone_elses_word_is_ignored() {
    for flags in [&[][..], &["--trust-proxy", "10.0.0.0/8,::1"]] {
        let server = TestServer::with_hls(flags);
        let found = about(&server);
        assert_eq!((&found["http_url"], &found["hls_url"]), (&Value::Null, &Value::Null));
        assert!(policy(&server).contains(&format!("connect-src 'self' *:{}", server.hls().address().port())));
    }
}
