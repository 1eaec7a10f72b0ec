//! A room plays over HTTP-FLV and over HLS, at once and close to live.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

/// More than the decoder needs to have begun, less than the cached GOP.
const FRAMES: u32 = 45;

#[test]
fn http_flv_plays_less_than_a_second_and_a_half_behind_live() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    browser.open(&server.url("/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing'");
    assert_plays(&browser);
    // A busy machine may fall behind; the page catches up.
    browser.until(
        "const behind = video.buffered.end(0) - video.currentTime;
        const shown = Number(document.getElementById('latency').dataset.seconds);
        return behind > 0 && behind < 1.5 && shown > 0 && shown < 1.5",
    );
    assert_eq!(browser.run("return document.querySelector('video').muted"), true);
    browser.until("document.getElementById('facts').textContent.includes('1 viewer')");
    browser.press(&["m"]);
    browser.until("!video.muted && !video.paused && text('mute') === 'Mute'");
    browser.assert_quiet();
}

#[test]
fn hls_plays_in_the_same_page() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    browser.open(&server.url("/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing'");
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("globalThis.Hls && document.getElementById('stage').dataset.state === 'playing'");
    assert_plays(&browser);
    // Less than two of its segments: the parts are played.
    browser.until(
        "const shown = Number(document.getElementById('latency').dataset.seconds);
         return text('facts').includes('Low-Latency HLS') && text('latency').endsWith('behind live') && shown > 0.5 && shown < 4",
    );
    browser.assert_quiet();
}

/// Time goes on, frames are decoded, and they have the clip's size.
fn assert_plays(browser: &Browser) {
    let began = browser.run("return document.querySelector('video').currentTime");
    browser.until(&format!("video.currentTime > {began} + 1.5"));
    browser.until(&format!("video.getVideoPlaybackQuality().totalVideoFrames >= {FRAMES}"));
    assert_eq!(
        browser.run("const { videoWidth, videoHeight } = document.querySelector('video'); return [videoWidth, videoHeight]"),
        serde_json::json!([640, 360])
    );
}
