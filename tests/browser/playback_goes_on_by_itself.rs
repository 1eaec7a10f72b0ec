//! Whoever waits need not touch anything: playback goes on when the publisher, or the server, is back.

use crate::{browser::Browser, studio::Studio};

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

/// Marks the page, so that a reload would be seen.
fn watch(browser: &Browser, studio: &Studio) {
    browser.open(&studio.url("/watch/demo"));
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
    let studio = Studio::open_with(20, &[]);
    let publisher = studio.push("demo");
    let browser = Browser::start();
    watch(&browser, &studio);
    drop(publisher);
    browser.until("text('message') === 'The publisher is disconnected'");
    let _publisher = studio.push("demo");
    assert_plays_on(&browser);
    browser.assert_quiet();
}

#[test]
fn the_end_is_said_and_the_next_stream_is_played() {
    let studio = Studio::open();
    let publisher = studio.push("demo");
    let browser = Browser::start();
    watch(&browser, &studio);
    drop(publisher);
    browser.until("text('message') === 'The stream has ended'");
    let _publisher = studio.push("demo");
    assert_plays_on(&browser);
    browser.assert_quiet();
}

#[test]
fn a_room_that_is_opened_before_it_is_live_begins_with_it() {
    let studio = Studio::open();
    let browser = Browser::start();
    browser.open(&studio.url("/watch/demo"));
    browser.run("globalThis.isTheSamePage = true");
    browser.until("text('message') === 'This room is not live yet'");
    let _publisher = studio.push("demo");
    assert_plays_on(&browser);
    browser.assert_quiet();
}

#[test]
fn a_server_that_was_started_anew_is_found_again() {
    let studio = Studio::open();
    let address = studio.server.http.to_string();
    let publisher = studio.push("demo");
    let browser = Browser::start();
    watch(&browser, &studio);
    drop((publisher, studio));
    browser.until("text('message') === 'The server does not answer'");
    let studio = Studio::open_with(2, &["--httpflv-addr", &address]);
    let _publisher = studio.push("demo");
    assert_plays_on(&browser);
    // That the server could not be reached is the browser's to say, and nothing else is said.
    let complaints = browser.complaints();
    let others: Vec<_> = complaints.iter().filter(|line| !line.contains("net::ERR_")).collect();
    assert!(others.is_empty(), "{others:?}");
}
