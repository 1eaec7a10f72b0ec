//! While video pauses and audio goes on, viewers of Low-Latency HLS go on, and new ones see the last frame. The page turns to
//! MPEG-TS where fragmented MP4 has holes, and here it has none.

use std::path::{Path, PathBuf};

use synctv_media::{
    flv,
    stream::frame::{Frame, Track},
};

use synctv_testkit::{
    flv::read_file,
    frames,
    process::Process,
    server::TestServer,
    tools::{CLIP, ffmpeg},
};

use crate::browser::Browser;

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

/// The clip several times, without video for a minute.
fn clip_with_a_pause() -> PathBuf {
    const CLIP_MS: u32 = 10_000;
    const ROUNDS: u32 = 7;
    let clip = read_file(Path::new(CLIP));
    let (headers, coded): (Vec<_>, Vec<_>) = clip.into_iter().partition(|frame| !frames::is_coded(frame));
    let repeated = (0..ROUNDS).flat_map(|round| {
        coded
            .iter()
            .map(move |frame| Frame { timestamp_ms: frame.timestamp_ms + round * CLIP_MS, ..frame.clone() })
    });
    let is_paused =
        |frame: &Frame| frame.track == Track::Video && (6_000..66_000).contains(&frame.timestamp_ms);
    let mut file = flv::file_header(true, true).to_vec();
    for frame in headers.into_iter().chain(repeated.filter(|frame| !is_paused(frame))) {
        flv::put_tag(&mut file, frame.track, frame.timestamp_ms.into(), &frame.payload);
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clip-with-a-pause.flv");
    std::fs::write(&path, file).expect("the clip can be written");
    path
}

/// FFmpeg would wait ten seconds for the track that pauses before it sends the other one.
fn push_without_waiting(file: &Path, url: &str) -> Process {
    let input = ["-re", "-i"];
    let output = ["-c", "copy", "-max_interleave_delta", "100000", "-f", "flv", url];
    Process::start(ffmpeg().args(input).arg(file).args(output))
}

fn watch_over_hls(browser: &Browser, server: &TestServer) {
    browser.open(&server.url("/watch/demo"));
    browser.until("!document.querySelector('[name=protocol][value=hls]').disabled");
    browser
        .run("document.querySelector('[name=protocol][value=hls]').click(); globalThis.isTheSamePage = true");
    browser.until(&format!("globalThis.Hls && {PLAYING} && video.videoWidth === 640"));
}

fn assert_is_fragmented_mp4(browser: &Browser) {
    let names = "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)";
    let fetched = browser.run(&format!("return {names}.filter((name) => /[.](ts|m4s)$/.test(name))"));
    let fetched = fetched.as_array().expect("a list of names");
    let is_mp4 = |name: &serde_json::Value| name.as_str().is_some_and(|name| name.ends_with(".m4s"));
    assert!(!fetched.is_empty() && fetched.iter().all(is_mp4), "{fetched:?}");
}

fn assert_plays_on(browser: &Browser, seconds: u32) {
    let began = browser.run("return document.querySelector('video').currentTime");
    browser.until(&format!("video.currentTime > {began} + {seconds} && globalThis.isTheSamePage"));
}

#[test]
fn viewers_go_on_and_newcomers_see_the_last_frame() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&["--hls-target-ms", "1000"]);
    let _publisher = push_without_waiting(&clip_with_a_pause(), &server.rtmp_url("demo"));
    server.wait_for_publisher("demo");
    watch_over_hls(&browser, &server);
    // Six seconds with video, six of the pause that a playlist lists, and the distance from live.
    browser.until("video.currentTime > 14 && globalThis.isTheSamePage");
    assert_is_fragmented_mp4(&browser);

    // All that is listed by now is of the pause.
    watch_over_hls(&browser, &server);
    assert_plays_on(&browser, 5);
    assert_is_fragmented_mp4(&browser);
    browser.assert_quiet();
}
