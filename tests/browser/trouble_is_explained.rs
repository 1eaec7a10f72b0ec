//! What cannot be watched is said in a sentence.

use serde_json::Value;

use crate::{
    browser::Browser,
    studio::Studio,
    support::{
        http::request,
        tools::{enhanced_media_file, new_ffmpeg, push_on_and_on},
    },
};

#[test]
fn a_codec_that_the_browser_cannot_decode_is_named() {
    let studio = Studio::open();
    let browser = Browser::start();
    let url = studio.server.rtmp_url("hevc");
    let _publisher = push_on_and_on(new_ffmpeg(), enhanced_media_file(), &url);
    studio.server.wait_for_publisher("hevc");
    browser.open(&studio.url("/watch/hevc"));
    browser.until("text('message') === 'This browser cannot decode H.265 video'");
    assert_eq!(browser.run("return document.getElementById('stage').dataset.state"), "undecodable");
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("text('message').includes('cannot')");
    browser.assert_quiet();
}

#[test]
fn markup_is_no_room_anywhere() {
    let studio = Studio::open();
    let browser = Browser::start();
    for path in [
        "/watch/%3Cimg%20src=x%3E",
        "/api/v1/streams/%3Cimg%20src=x%3E",
        "/api/v1/streams?room=%3Cimg%20src=x%3E",
        "/%3Cimg%20src=x%3E.flv",
    ] {
        let response = request(studio.server.http, "GET", path);
        assert_eq!(response.head.status, 400, "{path}");
        assert_eq!(response.head.header("content-type"), "application/json");
        let body: Value = serde_json::from_str(&response.body).expect("an error is JSON");
        assert_eq!(body["error"], "bad_room_name");
        browser.open(&studio.url(path));
        assert_eq!(browser.run("return document.images.length"), 0, "{path}");
    }
}
