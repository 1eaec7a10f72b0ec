//! With watching closed, a token or key behind the `#` of the page's address plays the room over all protocols, and is not in
//! any request's address but those of native players.

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use synctv_media::{
    access::{Action, Secret, SignedKey},
    stream::room::RoomName,
};
use synctv_testkit::{
    process::Process,
    server::TestServer,
    tools::{CLIP, ffmpeg, push_on_and_on},
};

use crate::{browser::Browser, phones_play_hls_themselves::WITHOUT_MEDIA_SOURCE};

const SECRET: &str = "the secret of the tests which has 32 bytes or more";

fn key(action: Action) -> SignedKey {
    let secret = Secret::new(SECRET.as_bytes()).expect("it is long enough");
    SignedKey::make(&secret, action, &RoomName::new("demo").expect("a name"), 0)
}

fn closed() -> (TestServer, Process) {
    let flags = ["--token-secret", SECRET, "--rtc-addr", "127.0.0.1:0", "--hls-target-ms", "1000"];
    let server = TestServer::with_hls(&flags);
    let url = format!("{}?key={}", server.rtmp_url("demo"), key(Action::Publish));
    let publisher = push_on_and_on(ffmpeg(), Path::new(CLIP), &url);
    server.wait_for_publisher("demo");
    (server, publisher)
}

#[test]
fn a_key_plays_over_all_protocols_and_stays_out_of_addresses() {
    let browser = Browser::start();
    let (server, _publisher) = closed();
    browser.open(&server.url(&format!("/watch/demo#key={}", key(Action::Play))));
    browser.until("document.getElementById('stage').dataset.state === 'playing'");
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("globalThis.Hls && document.getElementById('stage').dataset.state === 'playing'");
    browser.until("video.currentTime > 1");
    browser.run("document.querySelector('[name=protocol][value=webrtc]').click()");
    browser.until("video.srcObject && document.getElementById('stage').dataset.state === 'playing'");
    let asked = browser.run("return performance.getEntriesByType('resource').map(({ name }) => name)");
    let asked: Vec<_> =
        asked.as_array().expect("addresses").iter().filter_map(|name| name.as_str()).collect();
    assert!(asked.iter().any(|name| name.contains("/part-")), "{asked:?}");
    assert!(asked.iter().any(|name| name.ends_with("/demo/whep")), "{asked:?}");
    let own = key(Action::Play).to_string();
    assert!(!asked.iter().any(|name| name.contains(&own)), "{asked:?}");
}

#[test]
fn a_token_plays_where_the_browser_plays_hls_itself() {
    let (server, _publisher) = closed();
    let claims = json!({ "room": "demo", "do": ["play"], "exp": 4_000_000_000_u32, "max": 1 });
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &claims, &secret).expect("it is signed");
    let browser = Browser::start();
    browser.prepare(WITHOUT_MEDIA_SOURCE);
    browser.open(&server.url(&format!("/watch/demo#token={token}")));
    browser.until("document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 3");
    let source = browser.run("return document.querySelector('video').currentSrc");
    let source = source.as_str().expect("an address");
    assert!(source.ends_with(&format!("/master.m3u8?token={token}")), "{source}");
    browser.assert_quiet();
}

#[test]
fn without_one_the_page_says_what_is_missing() {
    let browser = Browser::start();
    let (server, _publisher) = closed();
    browser.open(&server.url("/watch/demo"));
    browser.until("document.body.textContent.includes('This room needs a valid token')");
    browser.until("document.body.textContent.includes('a token is needed')");
    browser.open(&server.url("/"));
    browser.until("document.getElementById('node').textContent !== ''");
    assert_eq!(browser.run("return document.querySelectorAll('a[data-room]').length"), 0);
}
