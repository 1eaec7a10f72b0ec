//! The segmenter over synthetic streams, and what a strict reader finds in its segments.

use bytes::Bytes;
use proptest::prelude::*;

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

const WRAP_MS: i64 = (1 << 33) / 90;
const LEAD_TICKS: u64 = 500 * 90;
const AVCC: &[u8] = b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3";
const OTHER_AVCC: &[u8] =
    b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x28\x01\x00\x03\x68\xEB\xE3";
const AAC_44100: &[u8] = &[0xAF, 0, 0x12, 0x10];
const AAC_48000: &[u8] = &[0xAF, 0, 0x11, 0x90];

type Message = (Track, i64, Bytes);

/// A stream of 25 pictures a second, of which each GOP's first is a keyframe, and AAC.
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
                (0..self.length_ms).step_by(40).map(|at_ms| self.picture(at_ms, at_ms % gop_ms < 40)),
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

    fn picture(self, at_ms: i64, keyframe: bool) -> Message {
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

/// How far a time on the wire is from one in milliseconds.
fn off_ticks(wire: u64, time_ms: i64) -> u64 {
    let off = wire.wrapping_sub(ticks(time_ms)) & ((1 << 33) - 1);
    off.min((1 << 33) - off)
}

fn of_track(messages: &[Message], track: Track) -> Vec<&Message> {
    messages.iter().filter(|message| message.0 == track).collect()
}

/// Every picture and every sound of `media` is in the segments, in order, at its time.
fn assert_holds(segments: &[Segment], media: &[Message]) {
    let checked = checked(segments);
    let pictures: Vec<_> = checked.iter().flat_map(|segment| &segment.video).collect();
    let sent = of_track(media, Track::Video);
    assert_eq!(pictures.len(), sent.len());
    for (picture, (_, time_ms, body)) in pictures.iter().zip(&sent) {
        let composition_time_ms = i64::from(i32::from_be_bytes([0, body[2], body[3], body[4]]));
        assert_eq!((picture.dts, picture.pts), (ticks(*time_ms), ticks(time_ms + composition_time_ms)));
        assert!(picture.payload.starts_with(b"\0\0\0\x01\x09\xF0\0\0\0\x01"));
        assert!(picture.payload.ends_with(&body[9..]));
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

/// The same, though GOPs are repeated in between. Returns how many pictures were.
fn assert_holds_and_repeats(segments: &[Segment], media: &[Message]) -> usize {
    let checked = checked(segments);
    let mut pictures = checked.iter().flat_map(|segment| &segment.video);
    let sent = of_track(media, Track::Video);
    for (_, time_ms, body) in &sent {
        let is_it = |picture: &&Pes| picture.dts == ticks(*time_ms) && picture.payload.ends_with(&body[9..]);
        assert!(pictures.by_ref().any(|picture| is_it(&picture)), "{time_ms}");
    }
    let count: usize = checked.iter().map(|segment| segment.video.len()).sum();
    let dts = checked.iter().flat_map(|segment| &segment.video).map(|picture| picture.dts);
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

#[test]
fn gops_of_one_two_and_four_seconds() {
    for (gop_ms, expected_ms) in [(1_000, 2_000), (2_000, 2_000), (4_000, 4_000)] {
        let source = Source { gop_ms: Some(gop_ms), ..SOURCE };
        let segments = cut(&source.all());
        assert!(segments.iter().all(|segment| segment.duration_ms == expected_ms), "{gop_ms}");
        assert!(
            segments
                .iter()
                .all(|segment| !segment.discontinuity && !segment.forced_cut && segment.independent)
        );
        assert!(checked(&segments).iter().all(|segment| segment.starts_with_keyframe));
        assert_adjacent(&segments);
        assert_holds(&segments, &source.media());
    }
}

#[test]
fn rounded_timestamps_do_not_double_a_segment() {
    let mut messages = Source { sample_rate_hz: None, ..SOURCE }.all();
    messages.iter_mut().skip(1).for_each(|(_, time_ms, _)| *time_ms -= *time_ms / 2_000);
    assert_eq!(durations_ms(&cut(&messages))[..3], [1_999; 3]);
}

#[test]
fn pictures_keep_both_their_times() {
    let source = Source { composition_time_ms: [80, 200, 80, 0], ..SOURCE };
    assert_holds(&cut(&source.all()), &source.media());
}

#[test]
fn every_keyframe_has_its_parameter_sets() {
    for segment in checked(&cut(&Source { gop_ms: Some(1_000), ..SOURCE }.all())) {
        for picture in segment.video.iter().filter(|picture| picture.random_access) {
            assert!(picture.payload.starts_with(
                b"\0\0\0\x01\x09\xF0\0\0\0\x01\x67\x64\x00\x1F\0\0\0\x01\x68\xEB\xE3\0\0\0\x01\x65"
            ));
        }
    }
}

#[test]
fn sound_alone_is_cut_by_time() {
    for rate_hz in [44_100, 48_000] {
        let source = Source { gop_ms: None, sample_rate_hz: Some(rate_hz), ..SOURCE };
        let segments = cut(&source.all());
        assert_eq!(segments.len(), 10);
        assert!(segments[..9].iter().all(|segment| (2_000..2_025).contains(&segment.duration_ms)));
        assert_eq!(segments[0].first_ms, 0);
        assert_adjacent(&segments);
        assert_holds(&segments, &source.media());
        assert!(
            checked(&segments)
                .iter()
                .all(|segment| segment.video_type.is_none() && !segment.clocks.is_empty())
        );
    }
}

#[test]
fn audio_packets_follow_each_other_to_the_sample() {
    for rate_hz in [44_100, 48_000] {
        for gop_ms in [None, Some(2_000)] {
            let source = Source { gop_ms, sample_rate_hz: Some(rate_hz), ..SOURCE };
            let checked = checked(&cut(&source.all()));
            let packets: Vec<_> = checked.iter().flat_map(|segment| &segment.audio).collect();
            let mut samples = 0;
            for packet in packets {
                assert_eq!(packet.pts, LEAD_TICKS + samples * 90_000 / rate_hz as u64);
                samples += 1_024 * adts_frames(&packet.payload).unwrap().len() as u64;
            }
            assert_eq!(samples / 1_024, of_track(&source.media(), Track::Audio).len() as u64);
        }
    }
}

#[test]
fn mp3_of_a_lower_sampling_frequency_is_audio_of_mpeg_2() {
    for (first_two, stream_type) in [(b"\xFF\xFB", 0x03), (b"\xFF\xF3", 0x04), (b"\xFF\xE3", 0x04)] {
        let frame =
            |at| (Track::Audio, at * 52, Bytes::from([&b"\x2F"[..], first_two, b"\x80\xC4mp3"].concat()));
        let frames: Vec<_> = (0..60_i64).map(frame).collect();
        let segments = cut(&frames);
        assert!(!segments.is_empty() && segments.iter().all(|segment| !segment.discontinuity));
        assert!(checked(&segments).iter().all(|segment| segment.audio_type == Some(stream_type)));
    }
}

#[test]
fn tags_without_data_leave_no_trace() {
    let source = Source { gop_ms: Some(2_000), ..SOURCE };
    let mut messages = source.all();
    let is_real = |message: &Message| message.2.len() > 30;
    let empty = |message: &Message| {
        let kept = if message.0 == Track::Audio { 2 } else { 5 };
        (message.0, message.1, message.2.slice(..kept))
    };
    messages = messages
        .iter()
        .flat_map(|message| [Some(message.clone()), is_real(message).then(|| empty(message))])
        .flatten()
        .collect();
    let mut segmenter = segmenter();
    assert_eq!(cut_by(&mut segmenter, &messages), cut(&source.all()));
    assert_eq!(segmenter.dropped_frames(), 0);
}

#[test]
fn video_alone() {
    let source = Source { sample_rate_hz: None, ..SOURCE };
    let segments = cut(&source.all());
    assert_eq!(durations_ms(&segments), [2_000; 10]);
    assert_holds(&segments, &source.media());
    assert!(checked(&segments).iter().all(|segment| segment.audio_type.is_none()));
}

#[test]
fn the_wire_s_clock_wraps_unnoticed() {
    let source = Source { start_ms: WRAP_MS - 7_000, ..SOURCE };
    let segments = cut(&source.all());
    assert_eq!(durations_ms(&segments), [2_000; 10]);
    assert_holds(&segments, &source.media());
}

#[test]
fn nothing_comes_before_the_first_keyframe() {
    let messages = Source { gop_ms: Some(2_000), ..SOURCE }.all();
    let (headers, media) = messages.split_at(2);
    let late: Vec<_> = media.iter().filter(|message| message.1 >= 1_000).cloned().collect();
    let segments = cut(&[headers, &late].concat());
    assert_eq!((segments[0].first_ms, segments[0].discontinuity), (2_000, false));
    let kept = late.iter().position(|message| message.1 == 2_000).unwrap();
    let kept: Vec<_> = late[kept..].iter().filter(|message| message.1 > 1_999).cloned().collect();
    assert_holds(&segments, &kept);
}

#[test]
fn keyframes_that_are_far_apart_begin_segments_all_the_same() {
    for (gop_ms, expected_ms) in [(10_400, [10_400; 3]), (14_000, [14_000; 3]), (30_000, [30_000; 3])] {
        let source = Source { gop_ms: Some(gop_ms), length_ms: 3 * gop_ms, ..SOURCE };
        let segments = cut(&source.all());
        assert_eq!(durations_ms(&segments), expected_ms);
        assert!(segments.iter().all(|segment| segment.independent && !segment.forced_cut));
        assert!(checked(&segments).iter().all(|segment| segment.starts_with_keyframe));
    }
}

#[test]
fn without_keyframes_for_too_long_segments_of_the_target_s_length_go_on() {
    let config = SegmenterConfig { gop_max_ms: 10_000, ..SegmenterConfig::default() };
    let mut segmenter = Segmenter::new(config, BufferPool::new(1 << 20));
    let source = Source { gop_ms: Some(15_000), length_ms: 17_000, ..SOURCE };
    let segments = cut_by(&mut segmenter, &source.all());
    assert_eq!(durations_ms(&segments), [10_000, 2_000, 2_000, 1_000, 2_000]);
    assert_eq!(
        segments.iter().map(|segment| (segment.forced_cut, segment.independent)).collect::<Vec<_>>(),
        [(true, true), (false, true), (false, true), (false, false), (false, true)]
    );
    assert_holds_and_repeats(&segments, &source.media());
}

/// A stream of which one track is left out between two times.
fn with_pause(source: Source, track: Track, from_ms: i64, to_ms: i64) -> Vec<Message> {
    let mut media = source.media();
    media.retain(|message| message.0 != track || message.1 < from_ms || message.1 >= to_ms);
    [source.headers(), media].concat()
}

#[test]
fn audio_goes_on_in_regular_segments_while_video_pauses() {
    let source = Source { gop_ms: Some(1_000), length_ms: 40_000, ..SOURCE };
    let messages = with_pause(source, Track::Video, 11_960, 32_000);
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.duration_ms < 2_050 && !segment.forced_cut));
    assert!(segments.iter().all(|segment| !segment.discontinuity));
    assert!(segments.iter().all(|segment| segment.independent));
    assert_adjacent(&segments);
    let repeated = assert_holds_and_repeats(&segments, &messages[2..]);
    assert_eq!(repeated, 24 * 10 * 2, "the GOP that was cut short, at each end of each segment");
    for (segment, checked) in segments.iter().zip(checked(&segments)) {
        assert!(checked.starts_with_keyframe);
        let [.., before, last] = &checked.video[..] else { panic!() };
        let end = ticks(segment.first_ms + segment.duration_ms as i64);
        assert!(end - last.dts <= 200 * 90, "it is shown to the end");
        assert!(last.dts > before.dts && last.pts == last.dts);
    }
}

#[test]
fn what_is_repeated_keeps_the_order_in_which_it_is_shown() {
    let source =
        Source { gop_ms: Some(1_000), composition_time_ms: [80, 200, 80, 0], length_ms: 10_000, ..SOURCE };
    let messages = with_pause(source, Track::Video, 3_480, i64::MAX);
    let segments = cut(&messages);
    assert!(assert_holds_and_repeats(&segments, &messages[2..]) > 0);
    let shown = |pictures: &[Pes]| {
        let mut shown: Vec<_> =
            pictures.iter().map(|picture| (picture.pts, picture.payload.clone())).collect();
        shown.sort();
        shown.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>()
    };
    let checked = checked(&segments);
    let gop: Vec<_> =
        checked[1].video.iter().filter(|picture| picture.dts >= ticks(3_000)).cloned().collect();
    let repeated = &checked[2].video[..12];
    assert!(repeated.iter().all(|picture| picture.pts >= picture.dts));
    assert_eq!(shown(repeated), shown(&gop[..12]));
}

#[test]
fn of_a_gop_that_is_too_large_the_keyframe_is_repeated() {
    let large = large_picture();
    let source = Source { gop_ms: Some(4_000), length_ms: 14_000, ..SOURCE };
    let mut messages = with_pause(source, Track::Video, 5_000, 10_000);
    messages.iter_mut().filter(|message| message.1 == 4_960).for_each(|message| message.2 = large.clone());
    let mut segmenter = segmenter();
    let segments = cut_by(&mut segmenter, &messages);
    assert!(segments[1..].iter().all(|segment| segment.duration_ms < 2_050));
    assert!(segments.iter().all(|segment| segment.independent && !segment.discontinuity));
    let checked = checked(&segments);
    assert_eq!(checked[2].video.len(), 2, "at both ends");
    assert_eq!(segmenter.dropped_frames(), 50, "those from 10,000 to the keyframe at 12,000");
}

#[test]
fn of_a_gop_at_which_a_decoder_cannot_begin_anew_nothing_is_repeated() {
    let source = Source { gop_ms: Some(1_000), length_ms: 12_000, ..SOURCE };
    let mut messages = with_pause(source, Track::Video, 3_480, 9_520);
    for (_, _, body) in messages.iter_mut().filter(|message| message.2.get(9) == Some(&0x65)) {
        *body = [&body[..9], b"\x41", &body[10..]].concat().into();
    }
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.duration_ms < 2_050));
    let independent: Vec<_> = segments.iter().map(|segment| segment.independent).collect();
    assert_eq!(independent, [true, true, false, false, false, true]);
    assert_eq!(
        assert_holds_and_repeats(&segments, &messages[2..]),
        0,
        "what goes on before a keyframe is kept"
    );
}

#[test]
fn frames_that_go_on_where_they_paused_do_not_wait_for_their_keyframe() {
    let source = Source { gop_ms: Some(4_000), length_ms: 20_000, ..SOURCE };
    let messages = with_pause(source, Track::Video, 5_000, 9_000);
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.independent && segment.duration_ms <= 4_000));
    let durations_ms = durations_ms(&segments);
    assert!(durations_ms[1..4].iter().all(|duration_ms| *duration_ms < 2_050), "{durations_ms:?}");
    assert_holds_and_repeats(&segments, &messages[2..]);
}

#[test]
fn a_segment_ends_a_second_after_video_paused_in_it_and_not_later() {
    let source = Source { gop_ms: Some(1_000), length_ms: 12_000, ..SOURCE };
    let mut segmenter = segmenter();
    let messages = with_pause(source, Track::Video, 3_960, i64::MAX);
    let until = messages.iter().position(|message| message.1 > 5_100).unwrap();
    assert_eq!(durations_ms(&feed(&mut segmenter, &messages[..until])), [2_000, 2_017]);
}

/// The audio frames of segments, with the time of each, in samples.
fn audio_frames(segments: &[Segment], rate_hz: u64) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    for packet in checked(segments).iter().flat_map(|segment| &segment.audio) {
        let first = (packet.pts - LEAD_TICKS) * rate_hz / 90_000;
        let of_packet = adts_frames(&packet.payload).unwrap().into_iter();
        frames.extend((0..).zip(of_packet).map(|(at, frame)| (first + at * 1_024, frame[7..].to_vec())));
    }
    frames
}

#[test]
fn video_goes_on_beside_silence_while_audio_pauses() {
    let source = Source { gop_ms: Some(1_000), length_ms: 40_000, ..SOURCE };
    let messages = with_pause(source, Track::Audio, 12_000, 32_000);
    let mut segmenter = segmenter();
    let segments = cut_by(&mut segmenter, &messages);
    assert_eq!(durations_ms(&segments), [2_000; 20]);
    assert!(segments.iter().all(|segment| segment.independent && !segment.discontinuity));
    let frames = audio_frames(&segments, 44_100);
    let steps = frames.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(steps.into_iter().all(|step| step.abs_diff(1_024) < 1_024), "without a gap");
    let silent = frames.iter().filter(|(_, frame)| frame == &[0x20, 0, 0, 0, 0, 0, 0x0E]).count();
    let sent = of_track(&messages[2..], Track::Audio).len();
    assert_eq!(frames.len() - silent, sent - segmenter.dropped_frames() as usize);
    assert!(segmenter.dropped_frames() <= 1 && (860..=863).contains(&silent), "{silent}");
}

#[test]
fn audio_that_was_announced_and_does_not_come_is_silence_until_it_does() {
    let source = Source { gop_ms: Some(1_000), length_ms: 20_000, ..SOURCE };
    let messages = with_pause(source, Track::Audio, 0, 10_500);
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| !segment.discontinuity));
    assert!(checked(&segments).iter().all(|segment| segment.audio_type == Some(0x0F)));
    assert_eq!(audio_frames(&segments, 44_100)[0].0, 0);
    let without_header: Vec<_> =
        messages.iter().filter(|message| message.0 == Track::Video).cloned().collect();
    assert!(checked(&cut(&without_header)).iter().all(|segment| segment.audio_type.is_none()));
}

#[test]
fn video_goes_on_beside_silence_while_mp3_pauses() {
    let video = Source { sample_rate_hz: None, length_ms: 40_000, gop_ms: Some(1_000), ..SOURCE };
    let frame = b"\x2F\xFF\xFB\x90\x64mp3";
    let audio = (0..).map(|at: i64| at * 1_152 * 1_000 / 44_100).take_while(|at_ms| *at_ms < 40_000);
    let mut messages: Vec<_> =
        audio.map(|at_ms| (Track::Audio, at_ms, Bytes::from_static(frame))).chain(video.media()).collect();
    messages.retain(|(track, time_ms, _)| *track == Track::Video || !(12_000..32_000).contains(time_ms));
    messages.sort_by_key(|(_, time_ms, _)| *time_ms);
    let segments = cut(&[video.headers(), messages].concat());
    assert_eq!(durations_ms(&segments), [2_000; 20]);
    assert!(segments.iter().all(|segment| segment.independent && !segment.discontinuity));
    let silent = |segment: &&CheckedSegment| {
        segment.audio.iter().any(|packet| packet.payload.starts_with(b"\xFF\xFB\x10\x64\0\0"))
    };
    assert_eq!(checked(&segments).iter().filter(silent).count(), 10);
}

#[test]
fn another_header_while_audio_pauses_counts_from_the_next_segment_on() {
    let source = Source { gop_ms: Some(2_000), length_ms: 20_000, ..SOURCE };
    let mut messages = with_pause(source, Track::Audio, 6_000, i64::MAX);
    let at = messages.iter().position(|message| message.1 == 9_000).unwrap();
    messages.insert(at, (Track::Audio, 9_000, Bytes::from_static(AAC_48000)));
    let segments = cut(&messages);
    let discontinuities: Vec<_> = segments.iter().map(|segment| segment.discontinuity).collect();
    assert_eq!(discontinuities, (0..10).map(|at| at == 5).collect::<Vec<_>>());
    let rates: Vec<_> = checked(&segments).iter().map(|segment| segment.audio[0].payload[2]).collect();
    assert_eq!(rates, [0x50, 0x50, 0x50, 0x50, 0x50, 0x4C, 0x4C, 0x4C, 0x4C, 0x4C]);
}

#[test]
fn a_picture_every_fifteen_seconds_does_not_hold_audio_up() {
    let source = Source { gop_ms: Some(15_000), length_ms: 60_000, ..SOURCE };
    let mut messages = source.all();
    messages.retain(|message| message.0 == Track::Audio || message.1 % 15_000 == 0);
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.duration_ms < 2_050));
    assert!(checked(&segments).iter().all(|segment| segment.starts_with_keyframe));
    assert_holds_and_repeats(&segments, &messages[2..]);
}

#[test]
fn a_hole_of_eight_seconds_takes_no_time_of_a_segment() {
    for sample_rate_hz in [Some(44_100), None] {
        let source = Source { gop_ms: Some(1_000), length_ms: 26_000, sample_rate_hz, ..SOURCE };
        let mut messages = source.all();
        messages.retain(|message| message.1 < 11_480 || message.1 >= 19_480);
        let segments = cut(&messages);
        assert!(segments.iter().all(|segment| segment.duration_ms < 2_100 && !segment.discontinuity));
        assert!(checked(&segments).iter().all(|segment| segment.starts_with_keyframe));
        let after = segments.iter().find(|segment| segment.first_ms >= 19_480).unwrap();
        assert_eq!(after.first_ms, 20_000, "on the stream's own timeline");
        let pictures: usize = checked(&segments).iter().map(|segment| segment.video.len()).sum();
        assert_eq!(pictures, of_track(&messages[1..], Track::Video).len());
    }
}

/// A stream whose audio is sent before the video of its time, or behind it.
fn with_skew(source: Source, ahead_ms: i64) -> Vec<Message> {
    let mut media = source.media();
    media.sort_by_key(|(track, time_ms, _)| time_ms - if *track == Track::Audio { ahead_ms } else { 0 });
    [source.headers(), media].concat()
}

#[test]
fn tracks_that_are_sent_apart_are_put_in_order() {
    for ahead_ms in [300, 1_500, 2_900, -300, -1_500, -2_900] {
        let mut segmenter = segmenter();
        let segments = cut_by(&mut segmenter, &with_skew(SOURCE, ahead_ms));
        assert_eq!(durations_ms(&segments)[..9], [2_000; 9]);
        assert_eq!((segmenter.late_frames(), segmenter.dropped_frames()), (0, u64::from(ahead_ms > 0)));
        for segment in checked(&segments) {
            assert!(segment.starts_with_keyframe && segment.video.len() == 50);
            let (audio, first) = (&segment.audio, segment.video[0].pts);
            assert!(audio[0].pts - first < 30 * 90 && audio[audio.len() - 1].pts - first < 2_000 * 90);
        }
    }
}

#[test]
fn audio_without_a_header_that_was_announced_is_put_in_order_from_the_start() {
    let mut messages = with_skew(SOURCE, -1_500);
    messages.remove(1);
    for message in messages.iter_mut().filter(|message| message.0 == Track::Audio) {
        message.2 = Bytes::from_static(b"\x2F\xFF\xFB\x90\x64mp3");
    }
    let late_frames = |announced: Option<AnnouncedTracks>| {
        let mut segmenter = segmenter();
        announced.into_iter().for_each(|announced| segmenter.set_tracks(announced));
        cut_by(&mut segmenter, &messages);
        segmenter.late_frames()
    };
    assert!(late_frames(None) > 0);
    assert_eq!(late_frames(Some(AnnouncedTracks { video: true, audio: true })), 0);
}

#[test]
fn tracks_that_are_sent_too_far_apart_are_counted() {
    let mut segmenter = segmenter();
    let segments = cut_by(&mut segmenter, &with_skew(Source { length_ms: 40_000, ..SOURCE }, -8_000));
    assert!(segmenter.late_frames() > 1_000, "{}", segmenter.late_frames());
    assert_eq!(durations_ms(&segments)[..19], [2_000; 19]);
}

#[test]
fn a_keyframe_that_comes_late_still_begins_the_segment() {
    let source = Source { gop_ms: Some(2_000), length_ms: 12_000, ..SOURCE };
    let mut messages = source.all();
    let is_late = |message: &Message| message.0 == Track::Video && (6_000..7_200).contains(&message.1);
    messages.sort_by_key(|message| if is_late(message) { 7_200 } else { message.1 });
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.independent), "{:?}", durations_ms(&segments));
    assert_eq!(segments.len(), 6);
}

#[test]
fn a_repeated_header_changes_nothing_and_another_one_cuts() {
    let source = Source { gop_ms: Some(1_000), length_ms: 6_000, ..SOURCE };
    let with = |header: &'static [u8]| {
        let mut messages = source.all();
        let at = messages.iter().position(|message| message.1 == 3_000).unwrap();
        messages.insert(at, (Track::Video, 3_000, Bytes::from_static(header)));
        cut(&messages)
    };
    let repeated = with(AVCC);
    assert_eq!(durations_ms(&repeated), [2_000; 3]);
    assert!(repeated.iter().all(|segment| !segment.discontinuity));
    let changed = with(OTHER_AVCC);
    assert_eq!(durations_ms(&changed), [2_000, 1_000, 2_000, 1_000]);
    assert_eq!(
        changed.iter().map(|segment| segment.discontinuity).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert!(changed[2].bytes.windows(4).any(|bytes| bytes == b"\x67\x64\x00\x28"));
    checked(&changed);
}

#[test]
fn parameter_sets_that_change_in_band_are_a_discontinuity() {
    let source = Source { gop_ms: Some(1_000), length_ms: 6_000, ..SOURCE };
    let other_sets = b"\0\0\0\x04\x67\x64\0\x28\0\0\0\x03\x68\xEB\xE3";
    let in_band = |(track, time_ms, body): Message| match (track, time_ms) {
        (Track::Video, 3_000) => (track, time_ms, [&body[..5], other_sets, &body[5..]].concat().into()),
        _ => (track, time_ms, body),
    };
    let segments = cut(&source.all().into_iter().map(in_band).collect::<Vec<_>>());
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 1_000]);
    let discontinuities: Vec<_> = segments.iter().map(|segment| segment.discontinuity).collect();
    assert_eq!(discontinuities, [false, false, true, false]);
    for segment in &checked(&segments)[2..] {
        let keyframes = segment.video.iter().filter(|picture| picture.random_access);
        assert!(
            keyframes.into_iter().all(|picture| picture.payload[13] == 0x28),
            "later keyframes get them as well"
        );
    }
}

#[test]
fn another_header_of_the_sound_waits_for_the_next_keyframe() {
    let mut messages = Source { gop_ms: Some(1_000), length_ms: 6_000, ..SOURCE }.all();
    let at = messages.iter().position(|message| message.1 >= 2_500).unwrap();
    messages.insert(at, (Track::Audio, 2_500, Bytes::from_static(AAC_48000)));
    let mut segmenter = segmenter();
    let mut segments = feed(&mut segmenter, &messages);
    segments.extend(finished(&mut segmenter));
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 1_000]);
    assert!(segments[2].discontinuity && (21..=22).contains(&segmenter.dropped_frames()));
    checked(&segments);
}

/// Two GOPs in each segment, and a header in the middle of the first: `at_ms` 1,500.
fn with_header_within(header: (Track, &'static [u8])) -> (Vec<Segment>, Vec<Segment>) {
    let messages = Source { gop_ms: Some(1_000), length_ms: 4_000, ..SOURCE }.all();
    let at = messages.iter().position(|message| message.1 >= 1_500).unwrap();
    let mut changed = messages.clone();
    changed.insert(at, (header.0, 1_500, Bytes::from_static(header.1)));
    (cut(&messages), cut(&changed))
}

#[test]
fn a_header_counts_only_for_the_frames_behind_it() {
    let (_, changed) = with_header_within((Track::Video, OTHER_AVCC));
    let keyframes: Vec<_> = checked(&changed)
        .into_iter()
        .map(|segment| segment.video.into_iter().filter(|picture| picture.random_access).collect::<Vec<_>>())
        .collect();
    let levels = |at: usize| keyframes[at].iter().map(|picture| picture.payload[13]).collect::<Vec<_>>();
    assert_eq!((levels(0), levels(1)), (vec![0x1F, 0x1F], vec![0x28, 0x28]));

    let (same, changed) = with_header_within((Track::Audio, AAC_48000));
    let rates = |segments: &[Segment], at: usize| -> Vec<u8> {
        let packets = &checked(segments)[at].audio;
        packets
            .iter()
            .flat_map(|packet| adts_frames(&packet.payload).unwrap())
            .map(|frame| frame[2])
            .collect()
    };
    let before = rates(&changed, 0);
    assert!(before.len() > 60 && rates(&same, 0).starts_with(&before));
    assert!(rates(&changed, 1).iter().all(|byte| *byte == 0x4C));
}

#[test]
fn a_header_that_cannot_be_read_takes_nothing_from_the_frames_before_it() {
    let mut messages = Source { length_ms: 1_000, ..SOURCE }.all();
    let intact = cut(&messages);
    messages.push((Track::Video, 1_000, Bytes::from_static(b"\x17\0\0\0\0\x02")));
    let mut segmenter = segmenter();
    for (track, time_ms, payload) in &messages {
        let _ = segmenter.push(*track, *time_ms, payload);
    }
    assert_eq!(finished(&mut segmenter), intact);
}

/// An eighth of what a segment may have.
fn large_picture() -> Bytes {
    let size_bytes = SEGMENT_MAX_BYTES / 8;
    let mut body = vec![0x27, 1, 0, 0, 0];
    body.extend_from_slice(&(size_bytes as u32).to_be_bytes());
    body.resize(9 + size_bytes, 0x41);
    body.into()
}

#[test]
fn a_segment_that_is_too_large_is_cut_without_a_keyframe() {
    let large = large_picture();
    let mut messages = Source { length_ms: 40, sample_rate_hz: None, ..SOURCE }.all();
    messages.extend((1..12).map(|at| (Track::Video, at * 40, large.clone())));
    let segments = cut(&messages);
    assert_eq!(durations_ms(&segments), [9 * 40, 3 * 40]);
    assert!(segments[0].forced_cut && segments[0].bytes.len() < SEGMENT_MAX_BYTES + 2 * large.len());
}

#[test]
fn what_is_left_out_counts_as_frames_beside_it_may_keep_it_in_memory() {
    let large = large_picture();
    let mut messages = Source { length_ms: 40, ..SOURCE }.all();
    messages.push((Track::Video, 40, Bytes::from_static(OTHER_AVCC)));
    for at in 1..12 {
        let track = if at % 2 == 0 { Track::Video } else { Track::Data };
        messages.extend([(track, at * 40, large.clone()), SOURCE.sound(at * 40)]);
    }
    let segments = cut(&messages);
    assert!(segments.len() == 2 && segments[0].forced_cut && segments[0].duration_ms == 8 * 40);
}

#[test]
fn a_segment_holds_no_frame_in_memory_when_it_is_cut() {
    let mut segmenter = segmenter();
    let messages = SOURCE.all();
    let second = messages.iter().position(|message| message.1 >= 2_000).unwrap();
    assert!(feed(&mut segmenter, &messages[..second]).is_empty());
    assert!(messages[4..second].iter().all(|message| !message.2.is_unique()));
    assert_eq!(feed(&mut segmenter, &messages[second..second + 3]).len(), 1);
    assert!(messages[2..second].iter().all(|message| message.2.is_unique()));
}

#[test]
fn sound_that_comes_late_joins_and_is_a_discontinuity_only_later() {
    let source = Source { length_ms: 8_000, ..SOURCE };
    let from = |first_ms: i64| {
        let mut messages = source.media();
        messages.retain(|message| message.0 == Track::Video || message.1 >= first_ms);
        let at = messages.iter().position(|message| message.0 == Track::Audio).unwrap();
        messages.insert(at, (Track::Audio, first_ms, Bytes::from_static(AAC_44100)));
        messages.insert(0, (Track::Video, 0, Bytes::from_static(AVCC)));
        let segments = cut(&messages);
        checked(&segments);
        segments.iter().map(|segment| segment.discontinuity).collect::<Vec<_>>()
    };
    assert_eq!(from(500), [false; 4]);
    assert_eq!(from(4_500), [false, false, true, false]);
}

#[test]
fn video_that_comes_late_begins_at_its_keyframe() {
    let source = Source { length_ms: 10_000, ..SOURCE };
    let mut messages = source.all();
    messages.remove(0);
    messages.retain(|message| message.0 == Track::Audio || message.1 >= 5_000);
    let at = messages.iter().position(|message| message.1 >= 5_000).unwrap();
    messages.insert(at, (Track::Video, 5_000, Bytes::from_static(AVCC)));
    let segments = cut(&messages);
    let checked = checked(&segments);
    let with_video: Vec<_> = checked.iter().map(|segment| segment.video_type.is_some()).collect();
    assert_eq!(with_video, [false, false, false, true, true]);
    assert_eq!((segments[3].first_ms, segments[3].discontinuity), (6_000, true));
    assert_adjacent(&segments);
}

#[test]
fn a_hint_saves_the_wait() {
    let source = Source { gop_ms: None, length_ms: 300, ..SOURCE };
    assert!(cut(&source.all()).is_empty());
    let mut segmenter = segmenter();
    segmenter.set_tracks(AnnouncedTracks { video: false, audio: true });
    assert!(feed(&mut segmenter, &source.all()).is_empty());
    assert_holds(&finished(&mut segmenter), &source.media());
}

#[test]
fn another_publisher_is_a_discontinuity() {
    let first = Source { length_ms: 3_000, ..SOURCE };
    let second = Source { start_ms: 5_000, length_ms: 4_000, ..SOURCE };
    let mut segmenter = segmenter();
    segmenter.discontinuity();
    let mut segments = feed(&mut segmenter, &first.all());
    segmenter.discontinuity();
    segments.extend(taken(&mut segmenter));
    segmenter.discontinuity();
    assert_eq!(segmenter.next_segment(), None);
    segments.extend(feed(&mut segmenter, &second.all()));
    segments.extend(finished(&mut segmenter));
    assert_eq!(finished(&mut segmenter), []);
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 2_000]);
    assert_eq!(
        segments.iter().map(|segment| segment.discontinuity).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_holds(&segments, &[first.media(), second.media()].concat());
}

#[test]
fn a_publisher_without_video_may_follow_one_with_it() {
    let second = Source { start_ms: 5_000, length_ms: 4_000, gop_ms: None, ..SOURCE };
    let mut segmenter = segmenter();
    let mut segments = feed(&mut segmenter, &SOURCE.all()[..100]);
    segmenter.discontinuity();
    segments.extend(taken(&mut segmenter));
    let before = segments.len();
    segments.extend(feed(&mut segmenter, &second.all()));
    segments.extend(finished(&mut segmenter));
    let checked = checked(&segments);
    assert_eq!((checked[before].video_type, checked[before].audio_type), (None, Some(0x0F)));
    assert!(segments[before].discontinuity && segments[before].first_ms == 5_000);
}

#[test]
fn a_leap_is_a_discontinuity_and_no_long_segment() {
    let after = Source { start_ms: 3_600_000, length_ms: 4_000, ..SOURCE };
    let messages = [Source { length_ms: 3_000, ..SOURCE }.all(), after.all()].concat();
    let segments = cut(&messages);
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 2_000]);
    assert!(segments[2].discontinuity && segments[2].first_ms == 3_600_000);
}

#[test]
fn codecs_that_do_not_fit_are_named() {
    let mut segmenter = segmenter();
    let mut name = |track, body: &'static [u8]| match segmenter.push(track, 0, &Bytes::from_static(body)) {
        Err(SegmentError::Container(ContainerError::UnsupportedCodec(codec))) => (codec, codec.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(Track::Video, b"\x90av01x"), (Codec::Video(VideoCodec::Av1), "av1".to_owned()));
    assert_eq!(name(Track::Video, b"\x91vp09x").1, "vp9");
    assert_eq!(name(Track::Video, b"\x12x").1, "flv-video-2");
    assert_eq!(name(Track::Audio, b"\x90Opusx"), (Codec::Audio(AudioCodec::Opus), "opus".to_owned()));
    assert_eq!(name(Track::Audio, b"\x91fLaCx").1, "flac");
    assert_eq!(name(Track::Audio, b"\x91ac-3x").1, "ac3");
    assert_eq!(name(Track::Audio, b"\x72").1, "flv-audio-7");
}

/// AAC in a layout that has no channel configuration.
const AAC_QUAD: &[u8] = b"\xAF\0\x12\0\x05\x04\x04\0\x21\x10\x0D";

#[test]
fn a_stream_whose_only_header_is_refused_is_refused_with_the_reason() {
    let refused_ms = |has_video: Option<bool>, headers: &[Message], track: Track| {
        let mut segmenter = segmenter();
        if let Some(video) = has_video {
            segmenter.set_tracks(AnnouncedTracks { video, audio: true });
        }
        for (track, time_ms, payload) in headers {
            let _ = segmenter.push(*track, *time_ms, payload);
        }
        let media = of_track(&SOURCE.media(), track).into_iter().cloned().collect::<Vec<_>>();
        media.iter().find_map(|(track, time_ms, payload)| match segmenter.push(*track, *time_ms, payload) {
            Err(SegmentError::Unsupported(unsupported)) => Some((*time_ms, unsupported.to_string())),
            other => other.map(|()| None).unwrap(),
        })
    };
    let quad = || (Track::Audio, 0, Bytes::from_static(AAC_QUAD));
    let bad_avcc = || (Track::Video, 0, Bytes::from_static(b"\x17\0\0\0\0\x02"));
    let (time_ms, text) = refused_ms(None, &[quad()], Track::Audio).unwrap();
    assert!(
        (1_000..1_024).contains(&time_ms) && text.contains("aac: ADTS has no channel configuration"),
        "{text}"
    );
    let (time_ms, text) = refused_ms(None, &[bad_avcc(), quad()], Track::Video).unwrap();
    assert!(time_ms == 1_000 && text.contains("h264: the decoder configuration record"), "{text}");
    let announced = refused_ms(Some(true), &[quad()], Track::Audio).unwrap();
    assert!((11_000..11_024).contains(&announced.0));
    let avcc = || (Track::Video, 0, Bytes::from_static(AVCC));
    assert_eq!(refused_ms(None, &[quad(), avcc()], Track::Audio), None, "video may be enough");
    assert_eq!(refused_ms(None, &[], Track::Audio), None, "a header may still come");
}

#[test]
fn frames_without_a_header_are_counted_and_malformed_ones_refused() {
    let mut segmenter = segmenter();
    let source = Source { length_ms: 2_000, ..SOURCE };
    assert!(feed(&mut segmenter, &source.media()).is_empty());
    assert_eq!(segmenter.dropped_frames(), source.media().len() as u64);
    let mut push = |body: &'static [u8]| segmenter.push(Track::Video, 0, &Bytes::from_static(body)).is_err();
    assert!(!push(AVCC));
    assert!(push(b"\x17\x01\0\0\0\0\0\0\x09\x65"));
    assert!(push(b"\x17"));
    assert_eq!(finished(&mut segmenter), []);
}

#[test]
fn mp3_and_hevc_are_carried() {
    let mut hvcc = b"\x1C\0\0\0\0\x01".to_vec();
    hvcc.extend_from_slice(&[0; 20]);
    hvcc.extend_from_slice(b"\x03\x01\x21\x00\x01\x00\x03\x42\x01s");
    let frames = [
        (Track::Video, 0, hvcc.into()),
        (Track::Video, 0, Bytes::from_static(b"\x1C\x01\0\0\0\0\0\0\x03\x26\x01i")),
        (Track::Audio, 0, Bytes::from_static(b"\x2F\xFF\xFB\x90")),
        (Track::Audio, 26, Bytes::from_static(b"\x2F\xFF\xFB\x91")),
    ];
    let segment = &checked(&cut(&frames))[0];
    assert_eq!((segment.video_type, segment.audio_type), (Some(0x24), Some(0x03)));
    assert_eq!(segment.video[0].payload, b"\0\0\0\x01\x46\x01\x50\0\0\0\x01\x42\x01s\0\0\0\x01\x26\x01i");
    assert_eq!(segment.audio[1].payload, b"\xFF\xFB\x91");
}

fn any_message() -> impl Strategy<Value = Message> {
    let track = prop_oneof![Just(Track::Audio), Just(Track::Video), Just(Track::Data)];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(AVCC.to_vec()),
        Just(OTHER_AVCC.to_vec()),
        Just(AAC_44100.to_vec()),
        Just(AAC_48000.to_vec()),
        Just(b"\x17\x01\0\0\0\0\0\0\x01\x65".to_vec()),
        Just(b"\x27\x01\xFF\0\0\0\0\0\x01\x41".to_vec()),
        Just(b"\xAF\x01sound".to_vec()),
        Just(b"\x2Fsound".to_vec()),
    ];
    (track, prop_oneof![0..30_000_i64, any::<i64>()], body.prop_map(Bytes::from))
}

proptest! {
    #[test]
    fn any_feed_is_cut_or_refused(messages in proptest::collection::vec(any_message(), 0..60), at in 0..60_usize) {
        let mut segmenter = segmenter();
        for (index, (track, time_ms, payload)) in messages.iter().enumerate() {
            let _ = segmenter.push(*track, *time_ms, payload);
            if index == at {
                segmenter.discontinuity();
            }
        }
        segmenter.finish();
    }

    #[test]
    fn the_same_frames_are_the_same_bytes_however_they_are_batched(
        sizes in proptest::collection::vec(1_usize..40, 1..20),
        composition_time_ms in prop_oneof![Just([0; 4]), Just([80, 200, 80, 0])],
    ) {
        let messages = Source { composition_time_ms, length_ms: 7_000, ..SOURCE }.all();
        let (mut rest, mut sizes) = (&messages[..], sizes.iter().cycle());
        let mut batched = Vec::new();
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            let mut run = Vec::new();
            batch.iter().for_each(|(track, time_ms, payload)| put_tag(&mut run, *track, *time_ms, payload));
            batched.extend(frames(&run.into(), batch[0].1));
            rest = behind;
        }
        prop_assert_eq!(cut(&batched), cut(&messages));
    }

    #[test]
    fn durations_add_up_for_any_gop(
        gop_frames in proptest::collection::vec(1..300_i64, 1..12),
        start_ms in 0..i64::MAX / 4,
    ) {
        let source = Source { start_ms, length_ms: 0, sample_rate_hz: None, ..SOURCE };
        let keyframes = gop_frames.iter().flat_map(|frames| (0..*frames).map(|at| at == 0));
        let pictures = keyframes.enumerate().map(|(at, keyframe)| source.picture(at as i64 * 40, keyframe));
        let media: Vec<_> = pictures.collect();
        let segments = cut(&[source.headers(), media.clone()].concat());
        assert_adjacent(&segments);
        assert_holds(&segments, &media);
        let played_ms: u64 = durations_ms(&segments).iter().sum();
        prop_assert_eq!(played_ms, gop_frames.iter().sum::<i64>() as u64 * 40);
        prop_assert!(segments.iter().all(|segment| segment.duration_ms < 2_000 + 12_000));
    }
}

#[test]
fn sound_that_is_held_back_does_not_keep_its_batch_in_memory() {
    let mut segmenter = Segmenter::new(SegmenterConfig::default(), BufferPool::new(0));
    segmenter.push(Track::Audio, 0, &Bytes::from_static(AAC_44100)).unwrap();
    let batch = Bytes::from(vec![[0xAF, 1]; 1_000].concat());
    segmenter.push(Track::Audio, 0, &batch.slice(..20)).unwrap();
    assert!(batch.is_unique());
    assert_eq!(finished(&mut segmenter), [], "it was still held");
    assert_eq!(segmenter.dropped_frames(), 1);
}
