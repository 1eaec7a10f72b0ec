use proptest::prelude::*;

use super::{
    super::check::{CheckedSegment, TsChecker},
    *,
};

const WRAP_MS: i64 = (1 << 33) / 90;

fn ms(time_ms: i64) -> Ticks {
    Ticks::from_ms(time_ms)
}

fn ticks(time_ms: i64) -> u64 {
    ms(time_ms).on_wire()
}

fn segment(writer: &mut TsWriter, lead: Lead, put: impl FnOnce(&mut TsWriter, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    writer.begin_segment(&mut out, lead);
    put(writer, &mut out);
    writer.end_segment(&mut out);
    out
}

fn checked(bytes: &[u8]) -> CheckedSegment {
    TsChecker::new().segment(bytes).unwrap()
}

#[test]
fn a_keyframe_s_first_packet_is_as_the_standard_says() {
    let bytes = segment(&mut TsWriter::new(), Lead::Video, |writer, out| {
        writer.video(out, VideoStream::H264, ms(1_000), ms(1_080), true, &[0xAB; 184 - 8 - 19]);
    });
    assert_eq!(bytes.len(), 3 * PACKET_BYTES);
    let packet = &bytes[2 * PACKET_BYTES..];
    assert_eq!(packet[..4], [0x47, 0x41, 0x00, 0x30]);
    assert_eq!(packet[4..12], [7, 0x50, 0x00, 0x00, 0xAF, 0xC8, 0x7E, 0x00]);
    assert_eq!(packet[12..21], [0, 0, 1, 0xE0, 0, 0, 0x84, 0xC0, 10]);
    assert_eq!(packet[21..26], [0x31, 0x00, 0x09, 0x56, 0xF1]);
    assert_eq!(packet[26..31], [0x11, 0x00, 0x09, 0x1E, 0xB1]);
    assert!(packet[31..].iter().all(|byte| *byte == 0xAB));
}

#[test]
fn audio_alone_carries_the_clock() {
    let bytes = segment(&mut TsWriter::new(), Lead::Audio, |writer, out| {
        writer.audio(out, AudioStream::Aac, ms(0), b"one");
        writer.audio(out, AudioStream::Aac, ms(93), b"two");
    });
    let segment = checked(&bytes);
    assert_eq!(segment.clocks, [0, 93 * 90]);
    assert_eq!(segment.audio[1].pts, (93 + 500) * 90);
    assert_eq!((segment.video_type, segment.audio_type), (None, Some(0x0F)));
}

#[test]
fn slow_video_s_clock_goes_on_beside_the_audio() {
    let bytes = segment(&mut TsWriter::new(), Lead::Video, |writer, out| {
        writer.video(out, VideoStream::H264, ms(0), ms(0), true, b"a frame");
        (0..5).for_each(|at| writer.audio(out, AudioStream::Mpeg1, ms(at * 93), b"sound"));
        writer.video(out, VideoStream::H264, ms(350), ms(350), false, b"a frame");
    });
    assert_eq!(checked(&bytes).clocks, [0, 93, 186, 279, 372, 372].map(|clock_ms| clock_ms * 90));
}

#[test]
fn the_table_declares_tracks_that_came_late() {
    let mut writer = TsWriter::new();
    let mut out = Vec::new();
    writer.begin_segment(&mut out, Lead::Video);
    writer.video(&mut out, VideoStream::H265, ms(0), ms(0), true, b"a frame");
    assert!(!writer.end_segment(&mut out));
    assert_eq!(checked(&out).audio_type, None);
    out.clear();
    writer.begin_segment(&mut out, Lead::Video);
    writer.audio(&mut out, AudioStream::Aac, ms(0), b"sound");
    assert!(writer.end_segment(&mut out));
    assert_eq!((checked(&out).video_type, checked(&out).audio_type), (Some(0x24), Some(0x0F)));
    writer.begin_segment(&mut out, Lead::Video);
    assert!(!writer.end_segment(&mut out));
}

#[test]
fn audio_that_the_format_cannot_express_is_left_out() {
    let mut out = Vec::new();
    TsWriter::new().audio(&mut out, AudioStream::Mpeg1, ms(0), &[0; PES_AUDIO_MAX_BYTES + 1]);
    assert!(out.is_empty());
    let bytes = segment(&mut TsWriter::new(), Lead::Audio, |writer, out| {
        writer.audio(out, AudioStream::Mpeg1, ms(0), &[7; PES_AUDIO_MAX_BYTES]);
    });
    assert_eq!(checked(&bytes).audio[0].payload, [7; PES_AUDIO_MAX_BYTES]);
}

#[test]
fn times_wrap_after_26_and_a_half_hours() {
    let bytes = segment(&mut TsWriter::new(), Lead::Video, |writer, out| {
        (WRAP_MS - 1_000..WRAP_MS + 1_000)
            .step_by(40)
            .for_each(|dts_ms| writer.video(out, VideoStream::H264, ms(dts_ms), ms(dts_ms + 80), true, b"p"));
    });
    let segment = checked(&bytes);
    let last = segment.video.last().unwrap();
    assert_eq!(last.dts, ((WRAP_MS + 960 + 500) as u64 * 90) & TICKS_MASK);
    assert!(last.dts < 2_000 * 90 && segment.clocks[0] > TICKS_MASK - 1_001 * 90);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_out(
        start_ms in prop_oneof![Just(0_i64), 0..i64::MAX / 2, WRAP_MS - 3_000..WRAP_MS + 3_000],
        frames in proptest::collection::vec(
            (any::<bool>(), prop_oneof![0..600_usize, 0..100_000_usize], 0..200_i64, any::<u8>()), 1..12),
        split in 0..12_usize,
    ) {
        let mut writer = TsWriter::new();
        let mut checker = TsChecker::new();
        let mut dts_ms = start_ms;
        let (before, after) = frames.split_at(split.min(frames.len()));
        for frames in [before, after] {
            let first_ms = dts_ms;
            let bytes = segment(&mut writer, Lead::Video, |writer, out| {
                for (is_video, size, offset_ms, fill) in frames {
                    dts_ms += 40;
                    let payload = vec![*fill; *size];
                    if *is_video {
                        writer.video(out, VideoStream::H264, ms(dts_ms), ms(dts_ms + offset_ms), true, &payload);
                    } else {
                        writer.audio(out, AudioStream::Aac, ms(dts_ms), payload.get(..60_000).unwrap_or(&payload));
                    }
                }
            });
            let segment = checker.segment(&bytes).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
            let (mut video, mut audio) = (segment.video.iter(), segment.audio.iter());
            for (at, (is_video, size, offset_ms, fill)) in frames.iter().enumerate() {
                let time_ms = first_ms + 40 * (at as i64 + 1) + LEAD_MS;
                let pes = if *is_video { video.next() } else { audio.next() }.unwrap();
                prop_assert_eq!(pes.dts, ticks(time_ms));
                prop_assert_eq!(pes.pts, ticks(if *is_video { time_ms + offset_ms } else { time_ms }));
                let size = if *is_video { *size } else { (*size).min(60_000) };
                prop_assert_eq!(&pes.payload, &vec![*fill; size]);
                prop_assert_eq!(pes.random_access, *is_video);
            }
            prop_assert!(video.next().is_none() && audio.next().is_none());
        }
    }

    #[test]
    fn any_times_are_written(dts_ms: i64, pts_ms: i64, other_ms: i64) {
        let bytes = segment(&mut TsWriter::new(), Lead::Video, |writer, out| {
            writer.video(out, VideoStream::H264, ms(dts_ms), ms(pts_ms), true, b"a frame");
            writer.audio(out, AudioStream::Aac, ms(other_ms), b"sound");
        });
        prop_assert_eq!(bytes.len() % PACKET_BYTES, 0);
    }
}
