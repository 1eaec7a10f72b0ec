//! Packets that the network loses are sent again over WebRTC, and the viewer notices nothing.

use synctv_testkit::{
    server::TestServer,
    tools::{ffmpeg, push_on_and_on},
};

use crate::{
    browser::Browser,
    lossy_relay::LossyRelay,
    webrtc_plays::{PLAYER, clip},
};

const LOSS_PERCENT: u32 = 2;

/// Frames that are watched: ten seconds.
const FRAMES: u32 = 300;

/// Reads the counters of the video that was received.
const READ_COUNTERS: &str = "played.getStats().then((stats) => {
  for (const report of stats.values())
    if (report.type === 'inbound-rtp' && report.kind === 'video') globalThis.counters = report;
});";

#[test]
fn two_percent_cost_no_keyframe() {
    let browser = Browser::start();
    let server = TestServer::start(&["--rtc-addr", "127.0.0.1:0"]);
    let addresses = server.log.find("addresses", |line| line.text("msg") == "WebRTC addresses");
    let address = addresses.text("addresses").trim_matches(['[', ']']).parse().expect("it has one address");
    let relay = LossyRelay::start(address);
    let clip = clip("low-delay", &["-tune", "zerolatency"]);
    let _publisher = push_on_and_on(ffmpeg(), &clip, &server.rtmp_url("demo"));
    server.wait_for_publisher("demo");
    browser.open(&server.url("/healthz"));
    let (server_port, relay_port) = (address.port(), relay.address.port());
    browser.run(&format!(
        "{PLAYER} play('/demo/whep', (sdp) => sdp.replaceAll(' {server_port} typ ', ' {relay_port} typ '));"
    ));
    browser.until("globalThis.firstFrameMs > 0");
    relay.lose(LOSS_PERCENT);
    let decoded = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames";
    let before = browser.run(&format!("return {decoded}"));
    browser.until(&format!("{decoded} > {before} + {FRAMES}"));
    browser.run(READ_COUNTERS);
    let counters = browser.until("globalThis.counters");
    let lost = relay.lost();
    println!("{lost} lost: {counters}");
    assert!(lost > 0 && counters["nackCount"].as_u64() > Some(0), "{lost} lost: {counters}");
    assert_eq!(counters["pliCount"], 0, "{lost} lost: {counters}");
    assert!(counters["retransmittedPacketsReceived"].as_u64() > Some(0), "{lost} lost: {counters}");
}
