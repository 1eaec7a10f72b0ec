//! Feeds of all kinds.

use proptest::prelude::*;

use super::*;

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
        let video = keyframes.enumerate().map(|(at, keyframe)| source.video_frame(at as i64 * 40, keyframe));
        let media: Vec<_> = video.collect();
        let segments = cut(&[source.headers(), media.clone()].concat());
        assert_adjacent(&segments);
        assert_holds(&segments, &media);
        let played_ms: u64 = durations_ms(&segments).iter().sum();
        prop_assert_eq!(played_ms, gop_frames.iter().sum::<i64>() as u64 * 40);
        prop_assert!(segments.iter().all(|segment| segment.duration_ms < 2_000 + 12_000));
    }
}
