//! Segments carry what was pushed: every frame, in order, at its time.

use synctv_media::{
    flv::{
        audio::{AudioHeader, AudioKind},
        video::{VideoHeader, VideoKind},
    },
    hls::ts::check::{Pes, adts_frames},
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    frames,
    hls::Stream,
    server::TestServer,
    tools::{Encoded, probe_hls},
};

const TICKS_A_MS: u64 = 90;
const TICKS: u64 = 1 << 33;

/// The codec of the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Avc,
    Hevc,
}

impl Coding {
    /// Delimiters, parameter sets and what comes with those, which the container places by its own rules.
    fn is_placed_by_container(self, unit: &[u8]) -> bool {
        match self {
            Coding::Avc => matches!(unit[0] & 0x1F, 7..=9),
            Coding::Hevc => matches!(unit[0] >> 1 & 0x3F, 32..=35 | 39),
        }
    }
}

/// A video frame: decoding time, presentation time, NAL units.
#[derive(Debug, PartialEq, Eq)]
pub struct VideoFrame {
    dts_ms: u64,
    pts_ms: u64,
    units: Vec<Vec<u8>>,
}

/// The video frames of FLV frames, from the first one's time on.
pub fn source_video(frames: &[Frame], coding: Coding) -> Vec<VideoFrame> {
    let video_frames = frames.iter().filter(|frame| frame.track == Track::Video).filter_map(|frame| {
        let header = VideoHeader::parse(&frame.payload).unwrap();
        let is_coded = matches!(header.kind, VideoKind::Keyframe | VideoKind::Inter);
        is_coded.then(|| {
            let dts_ms = u64::from(frame.timestamp_ms);
            VideoFrame {
                dts_ms,
                pts_ms: dts_ms + u64::from(header.composition_time_ms.unsigned_abs()),
                units: length_prefixed(&frame.payload[header.data_offset..], coding),
            }
        })
    });
    from_zero(video_frames.collect())
}

/// The video frames of segments, from the first one's time on.
pub fn segment_video(stream: &Stream, coding: Coding) -> Vec<VideoFrame> {
    let pes: Vec<&Pes> = stream.segments.iter().flat_map(|segment| &segment.video).collect();
    let base = pes[0].dts;
    let since = |ticks: u64| (ticks + TICKS - base) % TICKS / TICKS_A_MS;
    let video_frames = pes.iter().map(|pes| VideoFrame {
        dts_ms: since(pes.dts),
        pts_ms: since(pes.pts),
        units: annex_b(&pes.payload, coding),
    });
    video_frames.collect()
}

fn from_zero(mut video_frames: Vec<VideoFrame>) -> Vec<VideoFrame> {
    let base_ms = video_frames[0].dts_ms;
    for frame in &mut video_frames {
        frame.dts_ms -= base_ms;
        frame.pts_ms -= base_ms;
    }
    video_frames
}

fn length_prefixed(mut data: &[u8], coding: Coding) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit.to_vec());
        data = rest;
    }
    units.retain(|unit| !coding.is_placed_by_container(unit));
    units
}

fn annex_b(mut data: &[u8], coding: Coding) -> Vec<Vec<u8>> {
    const START: &[u8] = &[0, 0, 0, 1];
    let mut units = Vec::new();
    while let Some(unit) = data.strip_prefix(START) {
        let end = unit.windows(4).position(|window| window == START).unwrap_or(unit.len());
        units.push(unit[..end].to_vec());
        data = &unit[end..];
    }
    units.retain(|unit| !coding.is_placed_by_container(unit));
    units
}

fn source_audio(frames: &[Frame]) -> Vec<Vec<u8>> {
    let audio = frames.iter().filter(|frame| frame.track == Track::Audio).filter_map(|frame| {
        let header = AudioHeader::parse(&frame.payload).unwrap();
        (header.kind == AudioKind::Coded).then(|| frame.payload[header.data_offset..].to_vec())
    });
    audio.collect()
}

fn segment_audio(stream: &Stream) -> Vec<Vec<u8>> {
    const ADTS_HEADER_BYTES: usize = 7;
    let pes = stream.segments.iter().flat_map(|segment| &segment.audio);
    pes.flat_map(|pes| adts_frames(&pes.payload).unwrap())
        .map(|frame| frame[ADTS_HEADER_BYTES..].to_vec())
        .collect()
}

/// Each segment starts with a keyframe, and plays for as long as the playlist says.
fn assert_cut_right(stream: &Stream) {
    assert!(stream.segments.iter().all(|segment| segment.starts_with_keyframe));
    let firsts: Vec<_> = stream.segments.iter().map(|segment| segment.video[0].dts).collect();
    for (pair, entry) in firsts.windows(2).zip(&stream.playlist.segments) {
        let played_ms = (pair[1] + TICKS - pair[0]) % TICKS / TICKS_A_MS;
        assert_eq!(entry.duration_ms, played_ms, "{}", entry.uri);
    }
    let longest_ms = stream.playlist.segments.iter().map(|entry| entry.duration_ms).max();
    assert!(longest_ms.unwrap() <= stream.playlist.target_s * 1_000 + 499);
}

struct Case<'a> {
    room: &'a str,
    video: &'a str,
    audio: &'a str,
    target_s: u64,
    durations_ms: &'a [u64],
}

/// Pushes twelve seconds and compares all of it.
fn check(case: &Case<'_>) {
    let server = TestServer::with_hls(&["--hls-window", "100"]);
    let (coding, name, source) = if case.video.contains("libx265") {
        (Coding::Hevc, "hevc", Encoded::enhanced(12, case.video, case.audio))
    } else {
        (Coding::Avc, "h264", Encoded::new(12, case.video, case.audio))
    };
    source.push(&server.rtmp_url(case.room));
    let stream = server.hls().whole_stream(case.room);
    let sent = source.frames();
    assert!(segment_video(&stream, coding) == source_video(&sent, coding));
    if !case.audio.is_empty() {
        // Segments start with a keyframe: audio that comes before the first one is in none.
        let first_keyframe = sent.iter().position(frames::is_keyframe).unwrap();
        assert!(segment_audio(&stream) == source_audio(&sent[first_keyframe..]));
    }
    assert_cut_right(&stream);
    assert_eq!(stream.playlist.target_s, case.target_s);
    assert_eq!(stream.playlist.discontinuities(), 0);
    let durations: Vec<_> = stream.playlist.segments.iter().map(|entry| entry.duration_ms).collect();
    assert_eq!(durations, case.durations_ms);
    let mut codecs = vec![format!("{name},25/1")];
    codecs.extend((!case.audio.is_empty()).then(|| "aac,0/0".to_owned()));
    codecs.sort_unstable();
    assert_eq!(probe_hls(&server.hls(), case.room, "codec_name,r_frame_rate"), codecs);
}

const AAC_44100: &str = "-c:a aac -ar 44100";

#[test]
fn gops_of_one_second() {
    check(&Case {
        room: "gop1",
        video: "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0",
        audio: AAC_44100,
        target_s: 2,
        durations_ms: &[1_000, 2_000, 2_000, 2_000, 2_000, 2_000, 1_000],
    });
}

#[test]
fn gops_of_two_seconds_with_b_frames() {
    check(&Case {
        room: "gop2",
        video: "-c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 50 -sc_threshold 0",
        audio: "-c:a aac -ar 48000",
        target_s: 2,
        durations_ms: &[2_000; 6],
    });
}

#[test]
fn gops_of_four_seconds() {
    check(&Case {
        room: "gop4",
        video: "-c:v libx264 -preset ultrafast -g 100 -sc_threshold 0",
        audio: AAC_44100,
        target_s: 4,
        durations_ms: &[4_000; 3],
    });
}

#[test]
fn hevc_by_enhanced_rtmp() {
    check(&Case {
        room: "hevc",
        video: "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:bframes=2:open-gop=0",
        audio: AAC_44100,
        target_s: 2,
        durations_ms: &[2_000; 6],
    });
}

#[test]
fn video_only() {
    check(&Case {
        room: "video",
        video: "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0",
        audio: "",
        target_s: 2,
        durations_ms: &[2_000; 6],
    });
}

fn check_audio(room: &str, audio: &str, codec: &str) {
    let server = TestServer::with_hls(&["--hls-window", "100"]);
    let source = Encoded::new(12, "", audio);
    source.push(&server.rtmp_url(room));
    let stream = server.hls().whole_stream(room);
    assert_eq!(stream.playlist.target_s, 2);
    assert!((6..=7).contains(&stream.segments.len()));
    assert_eq!(probe_hls(&server.hls(), room, "codec_name,sample_rate"), [codec]);
    if codec.starts_with("aac") {
        assert!(segment_audio(&stream) == source_audio(&source.frames()));
    }
}

#[test]
fn audio_only_at_44100_hz() {
    check_audio("a44", AAC_44100, "aac,44100");
}

#[test]
fn audio_only_at_48000_hz() {
    check_audio("a48", "-c:a aac -ar 48000", "aac,48000");
}

#[test]
fn mp3() {
    check_audio("mp3", "-c:a libmp3lame -ar 44100", "mp3,44100");
}
