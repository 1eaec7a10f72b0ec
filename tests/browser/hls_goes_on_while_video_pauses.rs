//! While video pauses and audio goes on, who watches over HLS goes on watching, and who comes has a picture.

use std::path::{Path, PathBuf};

use synctv_media::{
    flv,
    stream::frame::{Frame, Track},
};

use crate::{
    browser::Browser,
    studio::{CLIP, Studio},
    support::{
        flv_file, frames,
        tools::{Running, ffmpeg, start},
    },
};

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing'";

/// The clip four times, without video for half a minute.
fn clip_with_a_pause() -> PathBuf {
    const CLIP_MS: u32 = 10_000;
    let clip = flv_file::read(Path::new(CLIP));
    let (headers, coded): (Vec<_>, Vec<_>) = clip.into_iter().partition(|frame| !frames::is_coded(frame));
    let repeated = (0..4).flat_map(|round| {
        coded
            .iter()
            .map(move |frame| Frame { timestamp_ms: frame.timestamp_ms + round * CLIP_MS, ..frame.clone() })
    });
    let is_paused =
        |frame: &Frame| frame.track == Track::Video && (6_000..36_000).contains(&frame.timestamp_ms);
    let mut file = flv::file_header(true, true).to_vec();
    for frame in headers.into_iter().chain(repeated.filter(|frame| !is_paused(frame))) {
        flv::put_tag(&mut file, frame.track, frame.timestamp_ms.into(), &frame.payload);
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clip-with-a-pause.flv");
    std::fs::write(&path, file).expect("the clip can be written");
    path
}

/// FFmpeg would wait ten seconds for the track that pauses before it sends the other one.
fn push_without_waiting(file: &Path, url: &str) -> Running {
    let input = ["-re", "-i"];
    let output = ["-c", "copy", "-max_interleave_delta", "100000", "-f", "flv", url];
    start(ffmpeg().args(input).arg(file).args(output))
}

fn watch_over_hls(browser: &Browser, studio: &Studio) {
    browser.open(&studio.url("/watch/demo"));
    browser.until("!document.querySelector('[name=protocol][value=hls]').disabled");
    browser
        .run("document.querySelector('[name=protocol][value=hls]').click(); globalThis.isTheSamePage = true");
    browser.until(&format!("globalThis.Hls && {PLAYING} && video.videoWidth === 640"));
}

fn assert_plays_to(browser: &Browser, time_s: u32) {
    browser.until(&format!("video.currentTime > {time_s} && globalThis.isTheSamePage"));
}

#[test]
fn viewers_go_on_and_newcomers_see_the_last_frame() {
    let studio = Studio::open();
    let _publisher = push_without_waiting(&clip_with_a_pause(), &studio.server.rtmp_url("demo"));
    studio.server.wait_for_publisher("demo");
    let browser = Browser::start();
    watch_over_hls(&browser, &studio);
    assert_plays_to(&browser, 8);
    assert_plays_to(&browser, 18);

    // All that is listed by now is of the pause.
    watch_over_hls(&browser, &studio);
    assert_plays_to(&browser, 12);
    assert_plays_to(&browser, 26);
    browser.assert_quiet();
}
