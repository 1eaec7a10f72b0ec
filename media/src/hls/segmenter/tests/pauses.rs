//! Segments while a track pauses.

use super::*;

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
    let shown = |frames: &[Pes]| {
        let mut shown: Vec<_> = frames.iter().map(|frame| (frame.pts, frame.payload.clone())).collect();
        shown.sort();
        shown.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>()
    };
    let checked = checked(&segments);
    let gop: Vec<_> = checked[1].video.iter().filter(|frame| frame.dts >= ticks(3_000)).cloned().collect();
    let repeated = &checked[2].video[..12];
    assert!(repeated.iter().all(|frame| frame.pts >= frame.dts));
    assert_eq!(shown(repeated), shown(&gop[..12]));
}

#[test]
fn of_a_gop_that_is_too_large_the_keyframe_is_repeated() {
    let large = large_frame();
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
fn a_video_frame_every_fifteen_seconds_does_not_hold_audio_up() {
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
        let count: usize = checked(&segments).iter().map(|segment| segment.video.len()).sum();
        assert_eq!(count, of_track(&messages[1..], Track::Video).len());
    }
}
