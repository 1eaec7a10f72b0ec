//! Codecs that MPEG-TS cannot carry play all the same: their playlist lists fragmented MP4.

use synctv_testkit::{
    server::TestServer,
    tools::{Encoded, probe_hls},
};

/// Encoders of FFmpeg that are fast enough for a test, and what ffprobe calls what they make.
const H264: (&str, &str) = ("-c:v libx264 -preset ultrafast -g 50", "h264,320");
const H265: (&str, &str) = ("-c:v libx265 -preset ultrafast -x265-params log-level=none -g 50", "hevc,320");
const AV1: (&str, &str) = ("-c:v libsvtav1 -preset 12 -g 50", "av1,320");
const VP9: (&str, &str) = ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50", "vp9,320");

/// Pushes a clip, and returns what ffprobe finds in fragmented MP4 and what the multivariant playlist calls it.
fn pushed(video: &str, audio: &str) -> (Vec<String>, String) {
    let server = TestServer::with_hls(&["--hls-fmp4", "always"]);
    Encoded::enhanced(6, video, audio).push(&server.rtmp_url("r"));
    let playlist = server.hls().playlist_when("r", |playlist| playlist.ended);
    let lasted_ms: u64 = playlist.segments.iter().map(|segment| segment.duration_ms).sum();
    assert!(lasted_ms.abs_diff(6_000) < 300, "{playlist:?}");
    let master = server.hls().get("/live/r/master.m3u8").text();
    let codecs = master.split("CODECS=\"").nth(1).and_then(|rest| rest.split('"').next());
    let streams = probe_hls(&server.hls(), "r", "codec_name,width,sample_rate");
    // ffprobe ends some lines with a comma, for fields that they do not have.
    let streams = streams.iter().map(|line| line.trim_end_matches(',').to_owned());
    (streams.collect(), codecs.unwrap_or_default().to_owned())
}

fn assert_plays((video, video_name): (&str, &str), audio: &str, audio_name: &str, codecs: &str) {
    let (streams, named) = pushed(video, audio);
    let mut expected = [audio_name, video_name];
    expected.sort_unstable();
    assert_eq!((streams, named.as_str()), (expected.map(ToOwned::to_owned).to_vec(), codecs));
}

#[test]
fn av1_and_opus_play() {
    assert_plays(AV1, "-c:a libopus", "opus,48000", "av01.0.00M.08,opus");
}

#[test]
fn vp9_and_opus_play() {
    assert_plays(VP9, "-c:a libopus", "opus,48000", "vp09.00.11.08,opus");
}

#[test]
fn flac_plays() {
    assert_plays(H264, "-c:a flac -ar 44100", "flac,44100", "avc1.42c00c,fLaC");
}

#[test]
fn h265_and_ac3_play() {
    assert_plays(H265, "-c:a ac3 -ar 48000", "ac3,48000", "hvc1.1.6.L60.90,ac-3");
}

#[test]
fn eac3_plays() {
    assert_plays(H264, "-c:a eac3 -ar 48000", "eac3,48000", "avc1.42c00c,ec-3");
}

#[test]
fn a_playlist_that_went_over_to_fragmented_mp4_keeps_its_form_and_never_goes_back() {
    let server =
        TestServer::with_hls(&["--hls-fmp4", "always", "--publisher-grace-s", "600", "--hls-window", "100"]);
    let h264_clip = Encoded::new(4, H264.0, "-c:a aac");
    let av1_clip = Encoded::enhanced(4, AV1.0, "-c:a libopus");
    av1_clip.push(&server.rtmp_url("r"));
    let mut before = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 2);
    for (clip, count) in [(&h264_clip, 4), (&av1_clip, 6), (&h264_clip, 8)] {
        clip.push(&server.rtmp_url("r"));
        let playlist = server.hls().playlist_when("r", |playlist| playlist.segments.len() == count);
        assert_eq!(playlist.sequence, before.sequence);
        assert!(playlist.segments.iter().zip(&before.segments).all(|(now, then)| now.uri == then.uri));
        before = playlist;
    }
    assert!(before.segments.iter().all(|segment| segment.uri.ends_with(".m4s")));
}

#[test]
fn h264_stays_in_mpeg_ts_and_is_named_in_the_multivariant_playlist() {
    assert_plays(H264, "-c:a aac -ar 44100", "aac,44100", "avc1.42c00c,mp4a.40.2");
}
