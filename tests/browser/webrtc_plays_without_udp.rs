//! A room plays over WebRTC where no UDP gets through: the media comes over a TCP connection of the browser's.

use synctv_testkit::tools::ffmpeg;

use crate::webrtc_plays::{Stage, clip, publish_of};

#[test]
fn tcp_carries_the_media() {
    let clip = clip("low-delay", &["-tune", "zerolatency"]);
    let stage = publish_of(ffmpeg(), "demo", &clip);
    // As if the answer's UDP candidates were not reached.
    let without_udp = "(sdp) => sdp.split('\\r\\n').filter((line) => !/^a=candidate:\\S+ \\d+ udp/i.test(line)).join('\\r\\n')";
    stage.play(&format!("'/demo/whep', {without_udp}"));
    let Stage { browser, server, .. } = &stage;
    browser.until("globalThis.status_ === 201 && globalThis.firstFrameMs > 0");
    let decoded = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames";
    let began = browser.run(&format!("return {decoded}"));
    browser.until(&format!("{decoded} > {began} + 90"));
    browser.run(
        "(async () => {
           const stats = await globalThis.played.getStats();
           const pairs = [...stats.values()].filter((report) => report.type === 'candidate-pair' && report.nominated);
           globalThis.protocols = pairs.map((pair) => stats.get(pair.remoteCandidateId).protocol);
         })();",
    );
    browser.until("globalThis.protocols");
    assert_eq!(browser.run("return globalThis.protocols"), serde_json::json!(["tcp"]));
    browser.run("globalThis.played.close();");
    server.wait_for_viewer_leaving("demo", "webrtc");
}
