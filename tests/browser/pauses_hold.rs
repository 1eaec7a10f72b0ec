//! A viewer who has paused stays paused until they go on, and then sees the newest media.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

#[test]
fn a_pause_outlives_the_publisher() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let publisher = push_clip(&server, "demo");
    browser.open(&server.url("/watch/demo"));
    browser.until(PLAYING);
    browser.press(&["k"]);
    browser.until("video.paused && text('pause') === 'Play'");
    drop(publisher);
    browser.until("text('state') === 'not live'");
    let _publisher = push_clip(&server, "demo");
    browser.until("text('state') === 'live' && text('facts').includes('kbit/s')");
    assert_eq!(browser.run("return document.querySelector('video').paused"), true);
    assert_eq!(browser.run("return document.getElementById('stage').dataset.state"), "paused");
    browser.press(&["k"]);
    browser.until(&format!("{PLAYING} && !video.paused && video.currentTime > 1"));
    browser.assert_quiet();
}

/// The clock of the page goes on to when a pause has become a long one.
const LATER: &str = "const now = performance.now.bind(performance); performance.now = () => now() + 10_000";

#[test]
fn a_long_pause_takes_no_media_and_keeps_the_frame_in_view() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    browser.open(&server.url("/watch/demo"));
    browser.until(PLAYING);
    browser.press(&["k"]);
    browser.run(LATER);
    browser.until(
        "video.networkState === HTMLMediaElement.NETWORK_EMPTY && !document.getElementById('still').hidden",
    );
    server.wait_for_viewer_leaving("demo", "http-flv");
    browser.press(&["k"]);
    browser.until(&format!("{PLAYING} && video.currentTime > 1 && document.getElementById('still').hidden"));
    browser.assert_quiet();
}
