//! The places at which segments are cut, and their content.

use super::*;

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
fn video_frames_keep_both_their_times() {
    let source = Source { composition_time_ms: [80, 200, 80, 0], ..SOURCE };
    assert_holds(&cut(&source.all()), &source.media());
}

#[test]
fn every_keyframe_has_its_parameter_sets() {
    for segment in checked(&cut(&Source { gop_ms: Some(1_000), ..SOURCE }.all())) {
        for frame in segment.video.iter().filter(|frame| frame.random_access) {
            assert!(frame.payload.starts_with(
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
