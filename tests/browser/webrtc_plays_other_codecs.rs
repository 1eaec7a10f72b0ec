//! VP9 and AV1 play over WebRTC in Chromium, unless the AV1 is shown in another order than it comes.

use std::path::PathBuf;

use synctv_testkit::tools::{make_once, new_ffmpeg, run};

use crate::webrtc_plays::{Stage, play_of};

/// A clip of six seconds with a keyframe every two.
fn clip(name: &str, encoder: &[&str]) -> PathBuf {
    make_once(&format!("{name}.flv"), |path| {
        let input = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=6"];
        let output = ["-pix_fmt", "yuv420p", "-g", "60", "-y", "-f", "flv"];
        run(new_ffmpeg().args(input).args(encoder).args(output).arg(path));
    })
}

fn play(name: &str, encoder: &[&str]) -> Stage {
    play_of(new_ffmpeg(), name, &clip(name, encoder), &format!("/{name}/whep"))
}

fn assert_plays(name: &str, encoder: &[&str], mime_type: &str) {
    let Stage { browser, .. } = &play(name, encoder);
    browser.until("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 75");
    browser.run(
        "(async () => {
           for (const report of (await globalThis.played.getStats()).values())
             if (report.type === 'codec') globalThis.mimeType = report.mimeType;
         })();",
    );
    browser.until("globalThis.mimeType");
    assert_eq!(browser.run("return globalThis.mimeType"), mime_type);
}

#[test]
fn vp9_plays() {
    assert_plays("rtc-vp9", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"], "video/VP9");
}

#[test]
fn av1_in_low_delay_plays() {
    let low_delay = ["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "pred-struct=1"];
    assert_plays("rtc-av1", &low_delay, "video/AV1");
}

#[test]
fn other_av1_is_refused_with_what_to_do() {
    let Stage { browser, .. } = &play("rtc-av1-reordered", &["-c:v", "libsvtav1", "-preset", "12"]);
    browser.until("globalThis.status_ === 422");
    let said = browser.run("return globalThis.said");
    assert!(said.as_str().unwrap().contains("low delay"), "{said}");
}
