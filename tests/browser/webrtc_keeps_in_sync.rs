//! Over WebRTC a moment's video and audio are presented together, whatever the rate of the AAC, and from whichever node.

use std::net::SocketAddr;

use synctv_testkit::{nodes::TestCluster, server::TestServer};

use crate::{
    browser::Browser,
    flashes::{FlashPublisher, NOTE_MOMENTS},
    webrtc_plays::PLAYER,
};

/// Viewers notice audio that is 125 ms late (ITU-R BT.1359-1, section 2).
const APART_MAX_MS: f64 = 120.0;

const RTC: [&str; 2] = ["--rtc-addr", "127.0.0.1:0"];

/// Waits until flashes and beeps have been together for five seconds, and prints how late they are.
fn assert_in_sync(browser: &Browser, publisher: &FlashPublisher, watch: SocketAddr) {
    browser.open(&format!("http://{watch}/healthz"));
    // A page may play audio once a key was pressed.
    browser.press(&["a"]);
    browser.run(&format!("{PLAYER}; play('/flashes/whep');"));
    browser.until("globalThis.firstFrameMs > 0");
    browser.run(NOTE_MOMENTS);
    browser.until(&format!("Math.abs(globalThis.apartMs()) <= {APART_MAX_MS}"));
    let apart_ms = browser.run("return globalThis.apartMs()");
    let presented = browser.run("return globalThis.flashes");
    let presented: Vec<f64> =
        presented.as_array().into_iter().flatten().filter_map(|at| at.as_f64()).collect();
    println!(
        "beeps {apart_ms} ms behind flashes, which were {:?} ms on their way",
        publisher.delays_ms(&presented)
    );
}

#[test]
fn with_aac_at_48_khz() {
    let browser = Browser::start();
    let server = TestServer::start(&RTC);
    let publisher = FlashPublisher::start(server.rtmp, "flashes", 48_000, 1);
    assert_in_sync(&browser, &publisher, server.http);
}

#[test]
fn with_aac_at_44_1_khz_from_another_node() {
    let browser = Browser::start();
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("origin", &[]), cluster.node("edge", &RTC));
    let publisher = FlashPublisher::start(origin.rtmp, "flashes", 44_100, 2);
    assert_in_sync(&browser, &publisher, edge.http);
}
