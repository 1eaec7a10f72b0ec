//! The page explains in a sentence why a room cannot be watched.

use synctv_testkit::{
    http::request,
    server::TestServer,
    tools::{enhanced_media_file, new_ffmpeg, push_on_and_on},
};

use crate::browser::Browser;

#[test]
fn a_codec_that_the_browser_cannot_decode_is_named() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let url = server.rtmp_url("hevc");
    let _publisher = push_on_and_on(new_ffmpeg(), enhanced_media_file(), &url);
    server.wait_for_publisher("hevc");
    browser.open(&server.url("/watch/hevc"));
    browser.until("text('message') === 'This browser cannot decode H.265 video'");
    assert_eq!(browser.run("return document.getElementById('stage').dataset.state"), "undecodable");
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("text('message').includes('cannot')");
    browser.assert_quiet();
}

#[test]
fn markup_is_no_room_anywhere() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    for path in [
        "/watch/%3Cimg%20src=x%3E",
        "/api/v1/streams/%3Cimg%20src=x%3E",
        "/api/v1/streams?room=%3Cimg%20src=x%3E",
        "/%3Cimg%20src=x%3E.flv",
    ] {
        let response = request(server.http, "GET", path);
        assert_eq!(response.status, 400, "{path}");
        assert_eq!(response.header("content-type"), "application/json");
        let body = response.json();
        assert_eq!(body["error"], "bad_room_name");
        browser.open(&server.url(path));
        assert_eq!(browser.run("return document.images.length"), 0, "{path}");
    }
}
