//! The segmenter over synthetic streams, and what another reader of boxes finds in its segments.

use bytes::Bytes;
use mp4_atom::{Any, Codec, Decode, Moof, Moov, Traf};
use proptest::prelude::*;

use super::container::Fmp4Container;
use crate::{
    flv::{audio::AudioHeader, video::VideoHeader},
    hls::{
        buffer_pool::BufferPool,
        segment::{Output, Part, Segment},
        segmenter::{Segmenter, SegmenterConfig},
    },
    stream::frame::Track,
};

mod pauses;
mod playlists;

const AVC: &[u8] = b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3";
const AAC: &[u8] = &[0xAF, 0, 0x12, 0x10];
const OPUS: &[u8] = b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
const PART_MS: u32 = 500;

/// Video at a frame rate with a keyframe every so often, and AAC; either may be absent.
#[derive(Debug, Clone, Copy)]
struct Source {
    frame_ms: Option<f64>,
    gop_ms: f64,
    has_audio: bool,
    length_ms: f64,
}

const SOURCE: Source = Source { frame_ms: Some(40.0), gop_ms: 2_000.0, has_audio: true, length_ms: 12_000.0 };

impl Source {
    fn messages(self) -> Vec<(Track, i64, Bytes)> {
        let times = |step_ms: f64| {
            (0..).map(move |at| f64::from(at) * step_ms).take_while(move |at_ms| *at_ms < self.length_ms)
        };
        let mut messages = Vec::new();
        if let Some(frame_ms) = self.frame_ms {
            messages.push((Track::Video, 0, Bytes::from_static(AVC)));
            messages.extend(times(frame_ms).map(|at_ms| {
                let is_keyframe = at_ms % self.gop_ms < frame_ms - 1e-6;
                (Track::Video, at_ms.round() as i64, video(is_keyframe))
            }));
        }
        if self.has_audio {
            messages.push((Track::Audio, 0, Bytes::from_static(AAC)));
            let audio = Bytes::from([&[0xAF, 1][..], &[7; 100]].concat());
            messages.extend(
                times(1_024_000.0 / 44_100.0).map(|at_ms| (Track::Audio, at_ms as i64, audio.clone())),
            );
        }
        messages.sort_by_key(|(_, time_ms, _)| *time_ms);
        messages
    }
}

fn video(is_keyframe: bool) -> Bytes {
    let (first, nal) = if is_keyframe { (0x17, 0x65) } else { (0x27, 0x41) };
    [&[first, 1, 0, 0, 80, 0, 0, 0, 101, nal], &[0x55; 100][..]].concat().into()
}

fn cut(messages: &[(Track, i64, Bytes)], part_ms: Option<u32>) -> (Vec<Output>, u64) {
    let config = SegmenterConfig { part_ms, ..SegmenterConfig::default() };
    let mut segmenter = Segmenter::with_container(config, Fmp4Container::default(), BufferPool::new(1 << 20));
    for (track, time_ms, payload) in messages {
        segmenter.push(*track, *time_ms, payload).unwrap();
    }
    segmenter.finish();
    let outputs = std::iter::from_fn(|| segmenter.next_output()).collect();
    (outputs, segmenter.dropped_frames())
}

fn segments(outputs: &[Output]) -> Vec<&Segment> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Segment(segment) => Some(segment),
            Output::Part(_) => None,
        })
        .collect()
}

fn atoms(mut bytes: &[u8]) -> Vec<Any> {
    let mut atoms = Vec::new();
    while !bytes.is_empty() {
        atoms.push(Any::decode(&mut bytes).unwrap());
    }
    atoms
}

fn moov(segment: &Segment) -> Moov {
    let atoms = atoms(&segment.init.as_ref().unwrap().bytes);
    match &atoms[..] {
        [Any::Ftyp(_), Any::Moov(moov)] => moov.clone(),
        other => panic!("{other:?}"),
    }
}

/// The fragments of a segment; the samples of each are all of its data, in their order.
fn fragments(bytes: &[u8]) -> Vec<Moof> {
    let atoms = atoms(bytes);
    let pairs = atoms.chunks(2).map(|pair| match pair {
        [Any::Moof(moof), Any::Mdat(mdat)] => {
            let samples = moof.traf.iter().flat_map(|traf| &traf.trun).flat_map(|trun| trun.samples.iter());
            let size_bytes: u32 = samples.map(|sample| sample.size.unwrap()).sum();
            assert_eq!(size_bytes as usize, mdat.data.len());
            moof.clone()
        }
        other => panic!("{other:?}"),
    });
    pairs.collect()
}

/// Decoding times of a track's samples with their durations.
fn samples(fragments: &[Moof], track: u32) -> Vec<(u64, u64)> {
    let of_track = |traf: &&Traf| traf.tfhd.track_id == track;
    let mut samples = Vec::new();
    for traf in fragments.iter().flat_map(|moof| moof.traf.iter().filter(of_track)) {
        let mut at = traf.tfdt.as_ref().unwrap().base_media_decode_time;
        for sample in traf.trun[0].samples.iter() {
            let duration = u64::from(sample.duration.unwrap());
            samples.push((at, duration));
            at += duration;
        }
    }
    samples
}

#[test]
fn every_frame_is_a_sample_at_its_time() {
    let messages = SOURCE.messages();
    for part_ms in [None, Some(PART_MS)] {
        let (outputs, dropped) = cut(&messages, part_ms);
        assert_eq!(dropped, 0);
        let fragments: Vec<_> =
            segments(&outputs).iter().flat_map(|segment| fragments(&segment.bytes)).collect();
        let video = samples(&fragments, 1);
        let expected: Vec<_> = (0..300).map(|at| ((500 + at * 40) * 90, 40 * 90)).collect();
        assert_eq!(video, expected);
        let audio = samples(&fragments, 2);
        let expected: Vec<_> = (0..audio.len() as u64).map(|at| (22_050 + at * 1_024, 1_024)).collect();
        assert_eq!(audio, expected);
        let sent = messages.iter().filter(|(_, _, payload)| payload.len() > 100).count();
        assert_eq!(video.len() + audio.len(), sent);
    }
}

#[test]
fn the_section_describes_both_tracks_and_stays_the_same() {
    let (outputs, _) = cut(&SOURCE.messages(), None);
    let segments = segments(&outputs);
    let moov = moov(segments[0]);
    let codecs: Vec<_> = moov.trak.iter().map(|trak| &trak.mdia.minf.stbl.stsd.codecs[0]).collect();
    assert!(matches!(codecs[..], [Codec::Avc1(_), Codec::Mp4a(_)]), "{codecs:?}");
    assert_eq!(moov.trak.iter().map(|trak| trak.mdia.mdhd.timescale).collect::<Vec<_>>(), [90_000, 44_100]);
    assert!(segments.iter().all(|segment| segment.init == segments[0].init && !segment.discontinuity));
    let init = segments[0].init.as_ref().unwrap();
    assert_eq!((init.codecs.as_str(), init.frame_rate_milli), ("avc1.64001f,mp4a.40.2", Some(25_000)));
}

/// Parts come before their segment, and are its bytes.
fn assert_parts(source: Source, part_ms: u32) -> Vec<Output> {
    let (outputs, _) = cut(&source.messages(), Some(part_ms));
    let mut open: Vec<&Part> = Vec::new();
    for output in &outputs {
        match output {
            Output::Part(part) => {
                assert_eq!(part.head.is_some(), open.is_empty());
                open.push(part);
            }
            Output::Segment(segment) => {
                let mut at = 0;
                for (listed, part) in segment.parts.iter().zip(&open) {
                    assert_eq!(*listed, part.part);
                    assert_eq!(segment.bytes[at..at + part.bytes.len()], part.bytes);
                    at += part.bytes.len();
                }
                assert_eq!(segment.parts.len(), open.len() + 1, "the last one comes with the segment");
                let sum: u64 = segment.parts.iter().map(|part| part.duration_ms).sum();
                assert_eq!(sum, segment.duration_ms);
                assert!(segment.parts.iter().all(|part| part.duration_ms <= u64::from(part_ms) + 4));
                open.clear();
            }
        }
    }
    assert!(open.is_empty());
    outputs
}

#[test]
fn parts_have_their_length_at_any_frame_rate() {
    for frames_per_s in [6.0, 7.0, 10.0, 15.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0] {
        for has_audio in [false, true] {
            let source = Source { frame_ms: Some(1_000.0 / frames_per_s), has_audio, ..SOURCE };
            let outputs = assert_parts(source, PART_MS);
            for segment in segments(&outputs) {
                let but_last = segment.parts.iter().rev().skip(1);
                let least_ms = u64::from(PART_MS + 4) * 85 / 100;
                assert!(
                    but_last.clone().all(|part| part.duration_ms >= least_ms),
                    "{frames_per_s}: {segment:?}"
                );
            }
        }
    }
}

#[test]
fn audio_goes_on_in_parts_beside_a_frame_a_second_and_alone() {
    for frame_ms in [Some(1_000.0), None] {
        let outputs = assert_parts(Source { frame_ms, ..SOURCE }, PART_MS);
        assert!(segments(&outputs).iter().all(|segment| segment.parts.len() >= 4), "{outputs:?}");
    }
}

#[test]
fn parts_need_no_keyframe_and_say_where_one_is() {
    let outputs = assert_parts(Source { gop_ms: 10_000.0, length_ms: 20_000.0, ..SOURCE }, PART_MS);
    for segment in segments(&outputs) {
        let independent: Vec<_> = segment.parts.iter().map(|part| part.independent).collect();
        assert!(independent[0] && !independent[1..].contains(&true), "{independent:?}");
    }
}

#[test]
fn another_header_begins_a_segment_with_another_section() {
    let mut messages = SOURCE.messages();
    let later = messages.iter().map(|(track, time_ms, payload)| (*track, time_ms + 12_000, payload.clone()));
    let is_aac = |(track, _, _): &(Track, i64, Bytes)| *track == Track::Audio;
    let later: Vec<_> = later.filter(|message| !is_aac(message)).collect();
    messages.extend(later);
    messages.push((Track::Audio, 12_000, Bytes::from_static(OPUS)));
    let opus = |at: i64| (Track::Audio, 12_000 + at * 20, Bytes::from_static(b"\x91Opus\xFCaudio"));
    messages.extend((0..600).map(opus));
    messages.sort_by_key(|(_, time_ms, _)| *time_ms);
    let (outputs, _) = cut(&messages, Some(PART_MS));
    let segments = segments(&outputs);
    let other = segments.iter().position(|segment| segment.init != segments[0].init).unwrap();
    assert!(segments[other].discontinuity && !segments[other - 1].discontinuity);
    assert!(segments[other].init.as_ref().unwrap().codecs.ends_with("opus"));
    for segment in segments {
        fragments(&segment.bytes);
    }
}

proptest! {
    #[test]
    fn any_frames_are_cut_or_refused(
        frames in proptest::collection::vec((0..6_usize, any::<i32>(), proptest::collection::vec(any::<u8>(), 0..24)), 0..40),
    ) {
        let fronts: [&[u8]; 6] = [AVC, AAC, OPUS, b"\x17\x01\0\0\0", b"\xAF\x01", b"\x91Opus"];
        let config = SegmenterConfig { part_ms: Some(PART_MS), ..SegmenterConfig::default() };
        let mut segmenter = Segmenter::with_container(config, Fmp4Container::default(), BufferPool::new(1 << 20));
        for (kind, time_ms, rest) in frames {
            let payload = Bytes::from([fronts[kind], if kind < 3 { &[] } else { &rest }].concat());
            let track = if VideoHeader::parse(&payload).is_ok() && matches!(kind, 0 | 3) { Track::Video } else { Track::Audio };
            prop_assert!(track == Track::Video || AudioHeader::parse(&payload).is_ok());
            let _ = segmenter.push(track, time_ms.into(), &payload);
        }
        segmenter.finish();
        while let Some(output) = segmenter.next_output() {
            if let Output::Segment(segment) = output {
                fragments(&segment.bytes);
                moov(&segment);
            }
        }
    }
}
