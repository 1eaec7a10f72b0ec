//! The pages in light and dark, on a desk and on a phone. Nothing sticks out, and screenshots are kept for people to
//! look at.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

const SIZES: [(&str, u32, u32); 3] = [("desk", 1280, 900), ("phone", 390, 844), ("small-phone", 320, 640)];

#[test]
fn nothing_sticks_out() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    browser.open(&server.url("/"));
    browser.until("!document.getElementById('empty').hidden");
    take(&browser, "empty");
    let long_name = "a-room-with-a-name-that-is-as-long-as-names-of-rooms-can-be.".repeat(2);
    let _publishers =
        [push_clip(&server, "demo"), push_clip(&server, "studio-b"), push_clip(&server, &long_name)];
    browser.until("document.querySelectorAll('.rooms .bitrate:not(:empty)').length === 3");
    take(&browser, "rooms");
    browser.open(&server.url("/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 1");
    browser.until("text('facts').includes('1 viewer')");
    take(&browser, "watch");
    browser.open(&server.url("/watch/absent"));
    browser.until("text('message') === 'This room is not live yet'");
    take(&browser, "waiting");
    browser.assert_quiet();
}

fn take(browser: &Browser, name: &str) {
    for (size, width, height) in SIZES {
        for scheme in ["light", "dark"] {
            browser.look_like(width, height, scheme);
            let scrolls = browser.run("return document.documentElement.scrollWidth > window.innerWidth");
            assert_eq!(scrolls, false, "{name} is wider than a {size}");
            browser.screenshot(&format!("{name}-{size}-{scheme}.png"));
        }
    }
    browser.look_like(1280, 800, "light");
}
