//! A room plays over WebRTC for viewers that choose it, and over another protocol where WebRTC cannot.

use std::path::Path;

use synctv_testkit::{
    process::Process,
    server::TestServer,
    tools::{ffmpeg, push_on_and_on},
};

use crate::{browser::Browser, prefix_proxy::PrefixProxy, webrtc_plays::clip};

const CHOOSE: &str = "document.querySelector('[name=protocol][value=webrtc]').click()";
const IS_PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

fn server() -> TestServer {
    TestServer::with_hls(&["--rtc-addr", "127.0.0.1:0"])
}

fn push(server: &TestServer, room: &str, clip: &Path) -> Process {
    let publisher = push_on_and_on(ffmpeg(), clip, &server.rtmp_url(room));
    server.wait_for_publisher(room);
    publisher
}

/// Waits until this many more frames than now are decoded.
fn plays_on(browser: &Browser, frames: u32) {
    let began =
        browser.run("return document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames");
    browser.until(&format!("video.getVideoPlaybackQuality().totalVideoFrames > {began} + {frames}"));
}

/// The proxy shows that the session's end, too, is asked for below the prefix.
#[test]
fn a_viewer_chooses_webrtc_and_leaves_it_again() {
    let browser = Browser::start();
    let server = server();
    let _publisher = push(&server, "demo", &clip("low-delay", &["-tune", "zerolatency"]));
    let proxy = PrefixProxy::start("/tv", server.http);
    browser.open(&proxy.url("/watch/demo"));
    browser.until(IS_PLAYING);
    assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), "flv");
    browser.run(CHOOSE);
    browser.until(&format!("video.srcObject && {IS_PLAYING}"));
    plays_on(&browser, 60);
    assert_eq!(browser.run("return document.querySelector('video').videoWidth"), 640);
    browser.until("text('latency').endsWith('behind live')");
    browser.until("Number(document.getElementById('latency').dataset.seconds) < 0.5");
    let whep = proxy.url("/live/demo/whep");
    assert_eq!(browser.run("return document.getElementById('address-webrtc').textContent"), whep.as_str());
    browser.run("document.querySelector('[name=protocol][value=flv]').click()");
    browser.until(&format!("!video.srcObject && {IS_PLAYING}"));
    plays_on(&browser, 30);
    server.wait_for_viewer_leaving("demo", "webrtc");
    browser.assert_quiet();
}

#[test]
fn a_room_with_b_frames_goes_on_over_http_flv_and_says_why() {
    let browser = Browser::start();
    let server = server();
    let _publisher = push(&server, "b", &clip("b-frames", &["-bf", "3"]));
    browser.open(&server.url("/watch/b"));
    browser.until(IS_PLAYING);
    // It may be known before it is tried.
    browser.run(CHOOSE);
    browser.until(&format!("(text('note') + text('facts')).includes('zerolatency') && {IS_PLAYING}"));
    assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), "flv");
    browser.until("document.querySelector('[value=webrtc]').disabled");
    let reason = browser.run("return document.querySelector('[value=webrtc]').parentElement.title");
    assert!(reason.as_str().unwrap().contains("B-frames"), "{reason}");
    plays_on(&browser, 30);
}

#[test]
fn without_webrtc_on_the_server_the_choice_says_so() {
    let browser = Browser::start();
    let server = TestServer::start(&[]);
    browser.open(&server.url("/watch/absent"));
    browser.until("document.querySelector('[value=webrtc]').disabled");
    let reason = browser.run("return document.querySelector('[value=webrtc]').parentElement.title");
    assert_eq!(reason, "This server has no WebRTC");
    assert_eq!(browser.run("return document.getElementById('address-webrtc').checkVisibility()"), false);
    browser.assert_quiet();
}

/// Nothing answers at this address, as in a network that lets no UDP out.
#[test]
fn a_viewer_whom_no_media_reaches_goes_on_over_http_flv() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&["--rtc-addr", "127.0.0.1:0", "--rtc-hosts", "192.0.2.1"]);
    let _publisher = push(&server, "demo", &clip("low-delay", &["-tune", "zerolatency"]));
    browser.open(&server.url("/watch/demo"));
    browser.until(IS_PLAYING);
    browser.run(CHOOSE);
    browser.until(&format!("text('note').startsWith('WebRTC does not connect') && {IS_PLAYING}"));
    assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), "flv");
    assert_eq!(browser.run("return document.querySelector('[value=webrtc]').disabled"), false);
    plays_on(&browser, 30);
    browser.assert_quiet();
}

#[test]
fn a_stream_that_ends_and_comes_back_plays_over_webrtc_again() {
    let browser = Browser::start();
    let server = server();
    let clip = clip("low-delay", &["-tune", "zerolatency"]);
    let publisher = push(&server, "demo", &clip);
    browser.open(&server.url("/watch/demo"));
    browser.until(IS_PLAYING);
    browser.run(CHOOSE);
    browser.until(&format!("video.srcObject && {IS_PLAYING}"));
    plays_on(&browser, 30);
    drop(publisher);
    browser.until("text('message') === 'The stream has ended'");
    let _publisher = push(&server, "demo", &clip);
    browser.until(&format!("video.srcObject && {IS_PLAYING}"));
    plays_on(&browser, 30);
    assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), "webrtc");
}
