//! Playback goes on by itself when the publisher, or the server, is back.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

/// Marks the page, so that a reload would be seen.
fn watch(browser: &Browser, server: &TestServer) {
    browser.open(&server.url("/watch/demo"));
    browser.run("globalThis.isTheSamePage = true");
    browser.until(PLAYING);
}

fn assert_plays_on(browser: &Browser) {
    browser.until(PLAYING);
    let now = browser.run("return document.querySelector('video').currentTime");
    browser.until(&format!("{PLAYING} && video.currentTime > {now} + 1 && globalThis.isTheSamePage"));
}

#[test]
fn a_publisher_that_comes_back_within_the_grace_is_followed() {
    plays_on_when_the_publisher_is_back(&["--publisher-grace-s", "600"], "The publisher is disconnected");
}

#[test]
fn the_end_is_said_and_the_next_stream_is_played() {
    plays_on_when_the_publisher_is_back(&[], "The stream has ended");
}

fn plays_on_when_the_publisher_is_back(flags: &[&str], message: &str) {
    let browser = Browser::start();
    let server = TestServer::with_hls(flags);
    let publisher = push_clip(&server, "demo");
    watch(&browser, &server);
    drop(publisher);
    browser.until(&format!("text('message') === '{message}'"));
    let _publisher = push_clip(&server, "demo");
    assert_plays_on(&browser);
    browser.assert_quiet();
}

#[test]
fn a_room_that_is_opened_before_it_is_live_begins_with_it() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    browser.open(&server.url("/watch/demo"));
    browser.run("globalThis.isTheSamePage = true");
    browser.until("text('message') === 'This room is not live yet'");
    let _publisher = push_clip(&server, "demo");
    assert_plays_on(&browser);
    browser.assert_quiet();
}

#[test]
fn a_server_that_was_started_anew_is_found_again() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let address = server.http.to_string();
    let publisher = push_clip(&server, "demo");
    watch(&browser, &server);
    drop((publisher, server));
    browser.until("text('message') === 'The server does not answer'");
    let server = TestServer::with_hls(&["--publisher-grace-s", "2", "--httpflv-addr", &address]);
    let _publisher = push_clip(&server, "demo");
    assert_plays_on(&browser);
    // That the server could not be reached is the browser's to say, and nothing else is said.
    let complaints = browser.complaints();
    let others: Vec<_> = complaints.iter().filter(|line| !line.contains("net::ERR_")).collect();
    assert!(others.is_empty(), "{others:?}");
}
