//! Tracks pause, come back, come late or cannot be played: the others go on, and the page says what is missing.

use synctv_testkit::server::TestServer;

use crate::{browser::Browser, clips::Clip};

const STATE: &str = "document.getElementById('stage').dataset.state";
const WITH_VIDEO: &str = "document.getElementById('stage').dataset.state === 'playing' && video.videoWidth === 320 && text('note') === ''";

/// A page that waits for a room, so that it sees its stream from the beginning.
fn wait_for(server: &TestServer, room: &str) -> Browser {
    let browser = Browser::start();
    browser.open(&server.url(&format!("/watch/{room}")));
    browser.until("text('message') === 'This room is not live yet'");
    browser
}

/// Notes the video element's time whenever it has media.
const NOTE_TIMES: &str = "
    const video = document.querySelector('video');
    globalThis.times = [];
    setInterval(() => video.readyState >= 2 && times.push(video.currentTime), 50);";
const FURTHEST_BACK_S: &str = "return Math.max(...times.slice(1).map((time, index) => times[index] - time))";

/// Audio is decoded and time goes on.
fn assert_audio_goes_on(browser: &Browser) {
    let [time, bytes] = ["currentTime", "webkitAudioDecodedByteCount"]
        .map(|name| browser.run(&format!("return document.querySelector('video').{name}")));
    browser.until(&format!("video.currentTime > {time} + 1 && video.webkitAudioDecodedByteCount > {bytes}"));
}

#[test]
fn audio_goes_on_while_video_pauses_and_the_last_frame_stays_in_view() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_for(&server, "demo");
    let _publisher = Clip::VideoPauses.push(&server, "demo");
    browser.until(WITH_VIDEO);
    browser.run(NOTE_TIMES);
    browser
        .until("text('note') === 'The video is paused' && video.videoWidth === 0 && video.readyState >= 2");
    assert_eq!(browser.run("return document.getElementById('still').hidden"), false);
    assert_audio_goes_on(&browser);
    assert_eq!(browser.run(&format!("return {STATE}")), "playing");
    browser.until(WITH_VIDEO);
    assert_eq!(browser.run("return document.getElementById('still').hidden"), true);
    // A new player may begin a moment before the one that it replaces, and not at its own beginning.
    let back_s = browser.run(FURTHEST_BACK_S).as_f64().expect("times were noted");
    assert!(back_s < 1.0, "{back_s} s");
    browser.assert_quiet();
}

#[test]
fn video_that_comes_late_is_shown() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_for(&server, "demo");
    let _publisher = Clip::VideoComesLate.push(&server, "demo");
    browser.until(&format!("{STATE} === 'playing' && text('note') === 'Audio only'"));
    assert_audio_goes_on(&browser);
    browser.until(WITH_VIDEO);
    browser.assert_quiet();
}

#[test]
fn video_is_played_beside_audio_that_browsers_cannot_decode() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_for(&server, "camera");
    let _publisher = Clip::ALaw.push(&server, "camera");
    browser.until("video.currentTime > 2 && video.videoWidth === 320");
    browser.until("text('note') === 'No audio: this browser cannot decode G.711 A-law'");
    browser.until("text('facts').includes('G.711 A-law')");
    browser.assert_quiet();
}

#[test]
fn a_track_that_the_player_does_not_read_is_not_the_end() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_for(&server, "demo");
    let _publisher = Clip::TwoAudioTracks.push(&server, "demo");
    browser.until(WITH_VIDEO);
    browser.run(
        "document.querySelector('video').addEventListener('emptied', () => (globalThis.wasReloaded = true))",
    );
    browser.until("video.currentTime > 6");
    assert_audio_goes_on(&browser);
    assert_eq!(browser.run("return globalThis.wasReloaded ?? false"), false);
    browser.assert_quiet();
}
