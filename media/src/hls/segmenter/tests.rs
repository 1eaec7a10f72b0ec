//! The segmenter over synthetic streams, and what a strict reader finds in its segments.

use bytes::Bytes;

use crate::{
    flv::{audio::AudioCodec, frames, put_tag, video::VideoCodec},
    hls::{
        buffer_pool::BufferPool,
        container::{Codec, ContainerError},
        segment::{SEGMENT_MAX_BYTES, Segment, SegmentError},
        segmenter::{AnnouncedTracks, Segmenter, SegmenterConfig},
        ts::check::{CheckedSegment, Pes, TsChecker, adts_frames},
    },
    stream::frame::Track,
};

mod any_feed;
mod cuts;
mod discontinuities;
mod headers;
mod memory;
mod order;
mod pauses;
mod upgrade;

const WRAP_MS: i64 = (1 << 33) / 90;
const LEAD_TICKS: u64 = 500 * 90;
const AVCC: &[u8] = b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3";
const OTHER_AVCC: &[u8] =
    b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x28\x01\x00\x03\x68\xEB\xE3";
const AAC_44100: &[u8] = &[0xAF, 0, 0x12, 0x10];
const AAC_48000: &[u8] = &[0xAF, 0, 0x11, 0x90];

type Message = (Track, i64, Bytes);

/// A stream of 25 video frames a second, of which each GOP's first is a keyframe, and AAC.
#[derive(Clone, Copy)]
struct Source {
    start_ms: i64,
    length_ms: i64,
    gop_ms: Option<i64>,
    sample_rate_hz: Option<i64>,
    composition_time_ms: [i32; 4],
}

const SOURCE: Source = Source {
    start_ms: 0,
    length_ms: 20_000,
    gop_ms: Some(2_000),
    sample_rate_hz: Some(44_100),
    composition_time_ms: [0; 4],
};

impl Source {
    fn headers(self) -> Vec<Message> {
        let video = self.gop_ms.map(|_| (Track::Video, self.start_ms, Bytes::from_static(AVCC)));
        let audio = self.sample_rate_hz.map(|rate_hz| {
            let header = if rate_hz == 44_100 { AAC_44100 } else { AAC_48000 };
            (Track::Audio, self.start_ms, Bytes::from_static(header))
        });
        video.into_iter().chain(audio).collect()
    }

    fn media(self) -> Vec<Message> {
        let mut media = Vec::new();
        if let Some(gop_ms) = self.gop_ms {
            media.extend(
                (0..self.length_ms).step_by(40).map(|at_ms| self.video_frame(at_ms, at_ms % gop_ms < 40)),
            );
        }
        if let Some(rate_hz) = self.sample_rate_hz {
            let times_ms = (0..).map(|at: i64| at * 1_024 * 1_000 / rate_hz);
            media.extend(times_ms.take_while(|at_ms| *at_ms < self.length_ms).map(|at_ms| self.sound(at_ms)));
        }
        media.sort_by_key(|(_, time_ms, _)| *time_ms);
        media
    }

    fn all(self) -> Vec<Message> {
        [self.headers(), self.media()].concat()
    }

    fn video_frame(self, at_ms: i64, keyframe: bool) -> Message {
        let [_, high, mid, low] = self.composition_time_ms[at_ms as usize / 40 % 4].to_be_bytes();
        let (first, nal_type, size) = if keyframe { (0x17, 0x65, 9_000) } else { (0x27, 0x41, 700) };
        let mut body = vec![first, 1, high, mid, low];
        body.extend_from_slice(&(size as u32 + 9).to_be_bytes());
        body.push(nal_type);
        body.extend_from_slice(&at_ms.to_be_bytes());
        body.resize(body.len() + size, 0x55);
        (Track::Video, self.start_ms + at_ms, body.into())
    }

    fn sound(self, at_ms: i64) -> Message {
        let mut body = vec![0xAF, 1];
        body.extend_from_slice(&[at_ms as u8; 180]);
        (Track::Audio, self.start_ms + at_ms, body.into())
    }
}

fn segmenter() -> Segmenter {
    Segmenter::new(SegmenterConfig::default(), BufferPool::new(1 << 20))
}

fn feed(segmenter: &mut Segmenter, messages: &[Message]) -> Vec<Segment> {
    for (track, time_ms, payload) in messages {
        segmenter.push(*track, *time_ms, payload).unwrap();
    }
    taken(segmenter)
}

fn finished(segmenter: &mut Segmenter) -> Vec<Segment> {
    segmenter.finish();
    taken(segmenter)
}

fn taken(segmenter: &mut Segmenter) -> Vec<Segment> {
    std::iter::from_fn(|| segmenter.next_segment()).collect()
}

fn cut(messages: &[Message]) -> Vec<Segment> {
    cut_by(&mut segmenter(), messages)
}

fn cut_by(segmenter: &mut Segmenter, messages: &[Message]) -> Vec<Segment> {
    let mut segments = feed(segmenter, messages);
    segments.extend(finished(segmenter));
    segments
}

fn checked(segments: &[Segment]) -> Vec<CheckedSegment> {
    let mut checker = TsChecker::new();
    segments.iter().map(|segment| checker.segment(&segment.bytes).unwrap()).collect()
}

fn durations_ms(segments: &[Segment]) -> Vec<u64> {
    segments.iter().map(|segment| segment.duration_ms).collect()
}

fn ticks(time_ms: i64) -> u64 {
    (time_ms as u64).wrapping_mul(90).wrapping_add(LEAD_TICKS) & ((1 << 33) - 1)
}

/// The distance of a time on the wire from one in milliseconds.
fn off_ticks(wire: u64, time_ms: i64) -> u64 {
    let off = wire.wrapping_sub(ticks(time_ms)) & ((1 << 33) - 1);
    off.min((1 << 33) - off)
}

fn of_track(messages: &[Message], track: Track) -> Vec<&Message> {
    messages.iter().filter(|message| message.0 == track).collect()
}

/// Every frame of `media` is in the segments, in order, at its time.
fn assert_holds(segments: &[Segment], media: &[Message]) {
    let checked = checked(segments);
    let frames: Vec<_> = checked.iter().flat_map(|segment| &segment.video).collect();
    let sent = of_track(media, Track::Video);
    assert_eq!(frames.len(), sent.len());
    for (frame, (_, time_ms, body)) in frames.iter().zip(&sent) {
        let composition_time_ms = i64::from(i32::from_be_bytes([0, body[2], body[3], body[4]]));
        assert_eq!((frame.dts, frame.pts), (ticks(*time_ms), ticks(time_ms + composition_time_ms)));
        assert!(frame.payload.starts_with(b"\0\0\0\x01\x09\xF0\0\0\0\x01"));
        assert!(frame.payload.ends_with(&body[9..]));
    }
    let packets: Vec<_> = checked.iter().flat_map(|segment| &segment.audio).collect();
    let mut sounds = of_track(media, Track::Audio).into_iter();
    for packet in packets {
        for (at, frame) in adts_frames(&packet.payload).unwrap().into_iter().enumerate() {
            let (_, time_ms, body) = sounds.next().unwrap();
            assert!(at > 0 || off_ticks(packet.pts, *time_ms) <= 90, "{time_ms}");
            assert_eq!(frame[7..], body[2..]);
        }
    }
    assert_eq!(sounds.next(), None);
}

/// The same, though GOPs are repeated in between. Returns the number of repeated video frames.
fn assert_holds_and_repeats(segments: &[Segment], media: &[Message]) -> usize {
    let checked = checked(segments);
    let mut frames = checked.iter().flat_map(|segment| &segment.video);
    let sent = of_track(media, Track::Video);
    for (_, time_ms, body) in &sent {
        let is_it = |frame: &&Pes| frame.dts == ticks(*time_ms) && frame.payload.ends_with(&body[9..]);
        assert!(frames.by_ref().any(|frame| is_it(&frame)), "{time_ms}");
    }
    let count: usize = checked.iter().map(|segment| segment.video.len()).sum();
    let dts = checked.iter().flat_map(|segment| &segment.video).map(|frame| frame.dts);
    assert!(
        dts.collect::<Vec<_>>().is_sorted_by(|one, next| one < next),
        "players want each at a time of its own"
    );
    count - sent.len()
}

fn assert_adjacent(segments: &[Segment]) {
    for pair in segments.windows(2) {
        assert_eq!(pair[0].first_ms + pair[0].duration_ms as i64, pair[1].first_ms);
    }
}

/// An eighth of what a segment may have.
fn large_frame() -> Bytes {
    let size_bytes = SEGMENT_MAX_BYTES / 8;
    let mut body = vec![0x27, 1, 0, 0, 0];
    body.extend_from_slice(&(size_bytes as u32).to_be_bytes());
    body.resize(9 + size_bytes, 0x41);
    body.into()
}
