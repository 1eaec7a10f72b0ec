//! Phones without media source extensions play HLS themselves.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

/// Makes the browser one without media source extensions.
pub const WITHOUT_MEDIA_SOURCE: &str = "delete globalThis.MediaSource; delete globalThis.ManagedMediaSource; delete globalThis.WebKitMediaSource;";

#[test]
fn hls_is_chosen_and_plays_without_a_library() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&["--hls-target-ms", "1000"]);
    let _publisher = push_clip(&server, "demo");
    browser.prepare(WITHOUT_MEDIA_SOURCE);
    browser.open(&server.url("/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 2");
    assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), "hls");
    assert_eq!(browser.run("return document.querySelector('video').videoWidth"), 640);
    assert_eq!(
        browser.run("return [typeof Hls, typeof mpegts]"),
        serde_json::json!(["undefined", "undefined"])
    );
    browser.run("document.querySelector('[name=protocol][value=flv]').click()");
    browser.until("text('message') === 'This browser cannot play HTTP-FLV'");
    browser.assert_quiet();
}
