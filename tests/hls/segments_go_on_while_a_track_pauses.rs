//! A track that pauses, a stream that stands still, keyframes that are far apart: segments go on, and each begins with a
//! keyframe.

use bytes::Bytes;
use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    hls::Stream,
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Encoded, probe_hls},
    wait::poll_until,
};

const KEYFRAME_EACH_SECOND: &str = "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0";
const AAC: &str = "-c:a aac -ar 44100";

fn is_media(frame: &Frame) -> bool {
    frame.track != Track::Data && frame.payload.get(1) != Some(&0)
}

/// Frames of a clip of so many seconds, as an encoder would push them.
fn pushed(duration_s: u32, video: &str, change: impl FnOnce(&mut Vec<Frame>)) -> (TestServer, Stream) {
    let server = TestServer::with_hls(&["--hls-window", "100"]);
    let mut frames = Encoded::new(duration_s, video, AAC).frames();
    change(&mut frames);
    let mut publisher = RtmpPeer::publish(&server, "r");
    frames.chunks(20).for_each(|frames| publisher.send_all(frames));
    publisher.unpublish();
    let stream = server.hls().whole_stream("r");
    (server, stream)
}

fn assert_regular(stream: &Stream, target_s: u64) {
    assert_eq!(stream.playlist.target_s, target_s);
    assert_eq!(stream.playlist.discontinuities(), 0);
    let longest_ms = stream.playlist.segments.iter().map(|entry| entry.duration_ms).max();
    assert!(longest_ms.unwrap() < target_s * 1_000 + 100, "{longest_ms:?}");
    assert!(stream.segments.iter().all(|segment| segment.starts_with_keyframe));
}

#[test]
fn while_one_track_pauses_the_other_goes_on_in_regular_segments() {
    for track in [Track::Video, Track::Audio] {
        let (server, stream) = pushed(30, KEYFRAME_EACH_SECOND, |frames| {
            let is_left_out = |frame: &Frame| {
                frame.track == track && is_media(frame) && (8_440..24_000).contains(&frame.timestamp_ms)
            };
            frames.retain(|frame| !is_left_out(frame));
        });
        assert_regular(&stream, 2);
        let played_ms: u64 = stream.playlist.segments.iter().map(|entry| entry.duration_ms).sum();
        assert!((29_900..30_100).contains(&played_ms), "{played_ms}");
        assert!(stream.segments.iter().all(|segment| segment.audio.len() > 1));
        assert_eq!(probe_hls(&server.hls(), "r", "codec_name"), ["aac", "h264"]);
    }
}

#[test]
fn a_stream_that_stands_still_for_eight_seconds_goes_on_where_it_was() {
    let (_server, stream) = pushed(20, KEYFRAME_EACH_SECOND, |frames| {
        let late = |frame: &&mut Frame| is_media(frame) && frame.timestamp_ms >= 7_500;
        frames.iter_mut().filter(late).for_each(|frame| frame.timestamp_ms += 8_000);
    });
    assert_regular(&stream, 2);
    let frames: usize = stream.segments.iter().map(|segment| segment.video.len()).sum();
    assert_eq!(frames, 20 * 25, "none is lost");
}

#[test]
fn keyframes_more_than_ten_seconds_apart_begin_each_segment() {
    let video = "-c:v libx264 -preset ultrafast -g 300 -keyint_min 300 -sc_threshold 0";
    let (_server, stream) = pushed(36, video, |_| {});
    assert_regular(&stream, 12);
    assert_eq!(stream.segments.len(), 3);
}

#[test]
fn tracks_that_are_sent_apart_are_together_in_each_segment() {
    for (audio_ahead_ms, video_ahead_ms) in [(1_500, 0), (0, 1_500)] {
        let (_server, stream) = pushed(14, KEYFRAME_EACH_SECOND, |frames| {
            frames.sort_by_key(|frame| match frame.track {
                _ if !is_media(frame) => 0,
                Track::Audio => frame.timestamp_ms + 2_000 - audio_ahead_ms,
                _ => frame.timestamp_ms + 2_000 - video_ahead_ms,
            });
        });
        assert_regular(&stream, 2);
        for (segment, entry) in stream.segments.iter().zip(&stream.playlist.segments) {
            let (first, last) = (&segment.audio[0], &segment.audio[segment.audio.len() - 1]);
            assert!(first.pts.abs_diff(segment.video[0].pts) < 90 * 90);
            assert!(last.pts - first.pts < (entry.duration_ms + 90) * 90);
        }
    }
}

#[test]
fn tags_without_data_are_in_no_segment() {
    let (_server, stream) = pushed(6, KEYFRAME_EACH_SECOND, |frames| {
        let with_empty = frames.drain(..).flat_map(|frame| {
            let kept = if frame.track == Track::Audio { 2 } else { 5 };
            let empty = is_media(&frame).then(|| Frame { payload: frame.payload.slice(..kept), ..frame });
            [Some(frame), empty]
        });
        *frames = with_empty.flatten().collect();
    });
    assert_regular(&stream, 2);
    let frames: usize = stream.segments.iter().map(|segment| segment.video.len()).sum();
    assert_eq!(frames, 6 * 25);
}

fn audio_of(audio: &str) -> Vec<String> {
    let server = TestServer::with_hls(&[]);
    Encoded::enhanced(6, "", audio).push(&server.rtmp_url("r"));
    server.hls().playlist_when("r", |playlist| playlist.ended);
    probe_hls(&server.hls(), "r", "codec_name,sample_rate,channels")
}

#[test]
fn audio_that_is_described_in_an_unusual_way_plays() {
    assert_eq!(audio_of("-c:a aac -aac_pce 1 -ar 44100 -ac 2"), ["aac,44100,2"]);
    assert_eq!(audio_of("-c:a libmp3lame -ar 22050 -ac 1"), ["mp3,22050,1"]);
}

#[test]
fn a_layout_without_a_name_is_in_fragmented_mp4() {
    let server = TestServer::with_hls(&["--hls-fmp4", "always"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let quad = b"\xAF\0\x12\0\x05\x04\x04\0\x21\x10\x0D";
    let frame = |timestamp_ms, payload: &'static [u8]| Frame {
        track: Track::Audio,
        timestamp_ms,
        payload: Bytes::from_static(payload),
    };
    publisher.send_all(&[frame(0, quad)]);
    // More than the second for which video is waited for, and twice a segment.
    (0..250).for_each(|at| publisher.send_all(&[frame(at * 23, b"\xAF\x01sound")]));
    let playlist = poll_until("segments in another form", || {
        let answer = server.hls().get("/live/r/index.m3u8");
        (answer.status == 200).then(|| answer.text())
    });
    assert!(playlist.contains(".m4s"), "{playlist}");
}
