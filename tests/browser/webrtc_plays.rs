//! A room plays over WebRTC in Chromium, whatever a page needs of WHEP being in the test.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use synctv_testkit::{
    process::Process,
    server::TestServer,
    tools::{ffmpeg, make_once, new_ffmpeg, push_on_and_on, run},
};

use crate::browser::Browser;

/// The least that a player of WHEP does. `globalThis.played` is its connection, `said` the server's answer, which `change` may
/// rewrite.
pub const PLAYER: &str = "
  const play = async (path, change = (sdp) => sdp) => {
    const peer = new RTCPeerConnection();
    globalThis.played = peer;
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    const video = document.body.appendChild(document.createElement('video'));
    video.muted = true;
    video.autoplay = true;
    peer.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
    await peer.setLocalDescription();
    const began = performance.now();
    video.requestVideoFrameCallback(() => { globalThis.firstFrameMs = performance.now() - began; });
    const response = await fetch(path, {
      method: 'POST', body: peer.localDescription.sdp, headers: { 'Content-Type': 'application/sdp' },
    });
    globalThis.location_ = response.headers.get('Location');
    const text = await response.text();
    globalThis.status_ = response.status;
    globalThis.said = text;
    if (response.status === 201) await peer.setRemoteDescription({ type: 'answer', sdp: change(text) });
  };";

/// A browser, a server, and a publisher of a clip in the room.
pub struct Stage {
    pub browser: Browser,
    pub server: TestServer,
    pub _publisher: Process,
}

/// Waits until a clip is published in the room, and has it played.
fn play(room: &str, clip: &Path, path: &str) -> Stage {
    play_of(ffmpeg(), room, clip, path)
}

pub fn play_of(program: Command, room: &str, clip: &Path, path: &str) -> Stage {
    let stage = publish_of(program, room, clip);
    stage.play(&format!("'{path}'"));
    stage
}

/// Waits until a clip is published in the room.
pub fn publish_of(program: Command, room: &str, clip: &Path) -> Stage {
    // In its turn: what is pushed meanwhile would take the processor from another test.
    let browser = Browser::start();
    let server = TestServer::start(&["--rtc-addr", "127.0.0.1:0"]);
    let _publisher = push_on_and_on(program, clip, &server.rtmp_url(room));
    server.wait_for_publisher(room);
    browser.open(&server.url("/healthz"));
    Stage { browser, server, _publisher }
}

impl Stage {
    /// Has the room played. `arguments`: those of `play` in [`PLAYER`].
    pub fn play(&self, arguments: &str) {
        self.browser.run(&format!("{PLAYER}; play({arguments});"));
    }
}

/// A clip of ten seconds, 30 frames a second and a keyframe every four, with further options of x264.
pub fn clip(name: &str, options: &[&str]) -> PathBuf {
    make_once(&format!("{name}.flv"), |path| {
        let input = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=10"];
        let output = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "120"];
        run(ffmpeg().args(input).args(output).args(options).args(["-y", "-f", "flv"]).arg(path));
    })
}

#[test]
fn frames_come_at_once_and_go_on_and_the_session_ends_on_request() {
    let clip = clip("low-delay", &["-tune", "zerolatency"]);
    let Stage { browser, server, .. } = &play("demo", &clip, "/live/demo/whep");
    browser.until("globalThis.status_ === 201 && globalThis.firstFrameMs > 0");
    let first_frame_ms = browser.run("return globalThis.firstFrameMs");
    println!("first frame after {first_frame_ms} ms");
    let began =
        browser.run("return document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames");
    browser.until(&format!("video.getVideoPlaybackQuality().totalVideoFrames > {began} + 90"));
    assert_eq!(browser.run("const { videoWidth, videoHeight } = document.querySelector('video'); return [videoWidth, videoHeight]"), serde_json::json!([640, 360]));
    server.log.find("viewer connected", |line| {
        line.says("viewer connected", "demo") && line.text("protocol") == "webrtc"
    });
    browser.run(
        "fetch(globalThis.location_, { method: 'DELETE' }).then((r) => { globalThis.ended = r.status; });",
    );
    browser.until("globalThis.ended === 200");
    server.wait_for_viewer_leaving("demo", "webrtc");
}

#[test]
fn a_room_with_b_frames_is_refused_with_what_to_do() {
    let Stage { browser, .. } = &play("b", &clip("b-frames", &["-bf", "3"]), "/b/whep");
    browser.until("globalThis.status_ === 422");
    let said = browser.run("return globalThis.said");
    assert!(said.as_str().unwrap().contains("zerolatency"), "{said}");
}

#[test]
fn b_frames_that_nothing_depends_on_are_left_out() {
    let options = ["-bf", "3", "-x264-params", "b-pyramid=none"];
    let Stage { browser, .. } = &play("b", &clip("disposable-b-frames", &options), "/b/whep");
    browser.until("video?.getVideoPlaybackQuality().totalVideoFrames > 30");
    let stats = "for (const r of (await globalThis.played.getStats()).values()) if (r.type === 'inbound-rtp' && r.kind === 'video') globalThis.plis = r.pliCount;";
    browser.run(&format!("(async () => {{ {stats} }})();"));
    browser.until("globalThis.plis !== undefined");
    assert_eq!(browser.run("return globalThis.plis"), 0);
}

#[test]
fn opus_is_heard() {
    let clip = make_once("low-delay-opus.flv", |path| {
        let video = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=10"];
        let audio = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=10"];
        let codecs = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60"];
        let more = ["-tune", "zerolatency", "-c:a", "libopus", "-y", "-f", "flv"];
        run(new_ffmpeg().args(video).args(audio).args(codecs).args(more).arg(path));
    });
    let Stage { browser, .. } = &play_of(new_ffmpeg(), "opus", &clip, "/opus/whep");
    wait_until_heard(browser);
}

/// Waits for two seconds of samples that were decoded and not made up for packets that are missing. A muted element has no level.
fn wait_until_heard(browser: &Browser) {
    browser.run(
        "setInterval(async () => {
           for (const report of (await globalThis.played.getStats()).values())
             if (report.type === 'inbound-rtp' && report.kind === 'audio')
               globalThis.heard = report.totalSamplesReceived - report.concealedSamples;
         }, 100);",
    );
    browser.until("globalThis.firstFrameMs > 0 && globalThis.heard > 2 * 48000");
    assert_eq!(browser.run("return document.querySelector('video').srcObject.getTracks().length"), 2);
}

fn clip_with_surround() -> PathBuf {
    make_once("low-delay-aac-5-1.flv", |path| {
        let video = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=10"];
        let audio = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=10"];
        let codecs = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60"];
        let more = ["-tune", "zerolatency", "-c:a", "aac", "-ac", "6", "-y", "-f", "flv"];
        run(ffmpeg().args(video).args(audio).args(codecs).args(more).arg(path));
    })
}

#[test]
fn aac_in_5_1_is_left_out_with_a_warning() {
    let clip = clip_with_surround();
    let Stage { browser, server, .. } = &play("surround", &clip, "/surround/whep");
    browser.until("globalThis.firstFrameMs > 0");
    let warning = "WebRTC viewers get no audio";
    let line = server.log.find(warning, |line| line.says(warning, "surround"));
    assert!(line.text("why").contains("mono or stereo"), "{line:?}");
}

#[test]
fn a_session_outlives_its_publisher() {
    let clip = clip("low-delay", &["-tune", "zerolatency"]);
    let Stage { browser, server, _publisher } = play("demo", &clip, "/demo/whep");
    let decoded = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames";
    browser.until(&format!("globalThis.firstFrameMs > 0 && {decoded} > 30"));
    drop(_publisher);
    server.wait_for_publisher_leaving("demo");
    let before = browser.run(&format!("return {decoded}"));
    let _publisher = push_on_and_on(ffmpeg(), &clip, &server.rtmp_url("demo"));
    browser.until(&format!("{decoded} > {before} + 60"));
    let left = server.log.count(|line| line.says("viewer disconnected", "demo"));
    assert_eq!(left, 0, "it is the same session");
}
