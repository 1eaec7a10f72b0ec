//! Sequence headers that come, change, or cannot be used.

use super::*;

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
        let keyframes = segment.video.iter().filter(|frame| frame.random_access);
        assert!(
            keyframes.into_iter().all(|frame| frame.payload[13] == 0x28),
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

#[test]
fn other_headers_of_both_tracks_begin_one_segment_with_both() {
    let mut messages = Source { gop_ms: Some(1_000), length_ms: 6_000, ..SOURCE }.all();
    let keyframe = messages.iter().position(|message| message.1 == 3_000).unwrap();
    messages.insert(keyframe, (Track::Video, 3_000, Bytes::from_static(OTHER_AVCC)));
    let audio = messages.iter().position(|message| message.0 == Track::Audio && message.1 >= 3_000).unwrap();
    assert!(audio > keyframe + 1, "video comes first");
    messages.insert(audio, (Track::Audio, 3_000, Bytes::from_static(AAC_48000)));
    let mut segmenter = segmenter();
    let mut segments = feed(&mut segmenter, &messages);
    segments.extend(finished(&mut segmenter));
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 1_000]);
    let discontinuities: Vec<_> = segments.iter().map(|segment| segment.discontinuity).collect();
    assert_eq!(discontinuities, [false, false, true, false]);
    assert_eq!(segmenter.dropped_frames(), 0);
    let audio = &checked(&segments)[2].audio;
    assert!(
        audio.iter().flat_map(|packet| adts_frames(&packet.payload).unwrap()).all(|frame| frame[2] == 0x4C)
    );
    assert!(audio.len() > 20, "{}", audio.len());
}

#[test]
fn another_header_of_the_sound_just_behind_a_cut_is_a_discontinuity_there() {
    let mut messages = Source { gop_ms: Some(1_000), length_ms: 6_000, ..SOURCE }.all();
    let at = messages.iter().position(|message| message.0 == Track::Audio && message.1 >= 4_000).unwrap();
    messages.insert(at, (Track::Audio, 4_000, Bytes::from_static(AAC_48000)));
    let mut segmenter = segmenter();
    let mut segments = feed(&mut segmenter, &messages);
    segments.extend(finished(&mut segmenter));
    assert_eq!(durations_ms(&segments), [2_000; 3]);
    let discontinuities: Vec<_> = segments.iter().map(|segment| segment.discontinuity).collect();
    assert_eq!((discontinuities, segmenter.dropped_frames()), (vec![false, false, true], 0));
}

/// Two GOPs in each segment, and a header in the middle of the first, at 1,500 ms.
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
        .map(|segment| segment.video.into_iter().filter(|frame| frame.random_access).collect::<Vec<_>>())
        .collect();
    let levels = |at: usize| keyframes[at].iter().map(|frame| frame.payload[13]).collect::<Vec<_>>();
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
