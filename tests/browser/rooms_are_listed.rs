//! The first page lists what is live, and says how to push when nothing is.

use serde_json::json;
use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::{Browser, ENTER, TAB};

#[test]
fn a_room_comes_and_goes_without_a_reload() {
    let browser = Browser::start();
    // Longer than the page takes to look again.
    let server = TestServer::with_hls(&["--publisher-grace-s", "6"]);
    browser.open(&server.url("/"));
    browser.until("!document.getElementById('empty').hidden && document.getElementById('push').open");
    let port = server.rtmp.port();
    browser.until(&format!("text('obs-server') === 'rtmp://127.0.0.1:{port}/live'"));
    browser.until(&format!("text('ffmpeg-file').endsWith('rtmp://127.0.0.1:{port}/live/my-room')"));

    let publisher = push_clip(&server, "demo");
    browser.until("document.querySelector('.rooms .video')?.textContent === 'H.264 640 × 360'");
    browser.until("/^[0-9.]+ [kM]bit.s$/.test(document.querySelector('.rooms .bitrate').textContent)");
    let row = browser.run(
        "const say = (name) => document.querySelector(`.rooms .${name}`).textContent;
         return ['name', 'state', 'audio', 'viewers'].map(say)",
    );
    assert_eq!(row, json!(["demo", "live", "AAC", "0 viewers"]));
    assert_eq!(browser.run("return document.getElementById('empty').hidden"), true);

    drop(publisher);
    browser.until("document.querySelector('.rooms .state')?.textContent === 'waiting'");
    browser.until(
        "document.querySelectorAll('.rooms li').length === 0 && !document.getElementById('empty').hidden",
    );
    browser.assert_quiet();
}

#[test]
fn the_keyboard_is_enough_and_keeps_its_place() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    browser.open(&server.url("/"));
    browser.until("document.querySelector('[data-room=demo]')");
    browser.press(&[TAB, TAB]);
    browser.until("document.activeElement.dataset.room === 'demo'");
    let since = browser.run("return document.querySelector('.rooms .since').textContent");
    // The list was written anew in the meantime.
    browser.until(&format!("document.querySelector('.rooms .since').textContent !== {since}"));
    assert_eq!(browser.run("return document.activeElement.dataset.room"), "demo");
    browser.press(&[ENTER]);
    browser.until("location.pathname === '/watch/demo' && document.getElementById('stage')?.dataset.state === 'playing'");
    browser.press(&["k"]);
    browser.until("video.paused && text('pause') === 'Play'");
    browser.press(&["k"]);
    browser.until("!video.paused && text('pause') === 'Pause'");
    browser.assert_quiet();
}

/// Answers the list of rooms as a node does whose registry does not answer and that has no rooms itself.
const WITHOUT_REGISTRY: &str = "
    const real = globalThis.fetch;
    globalThis.fetch = async (url, options) =>
      String(url).includes('/streams') ? Response.json({ complete: false, streams: [] }) : real(url, options);";

#[test]
fn an_incomplete_list_is_not_called_empty() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    browser.prepare(WITHOUT_REGISTRY);
    browser.open(&server.url("/"));
    browser.until("text('trouble') === 'The registry does not answer: rooms of other nodes are missing.'");
    assert_eq!(browser.run("return document.getElementById('empty').hidden"), true);
    browser.open(&server.url("/watch/demo"));
    browser.until("text('message') === 'This room may be live on another node'");
    browser.assert_quiet();
}
