use std::{f64::consts::PI, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{codec::aac::AacChannels, webrtc::audio::opus::tests::decode};

/// FFmpeg's sine of 440 Hz.
const MONO_48000: &[u8] = include_bytes!("sine-mono-48000.aac");

/// FFmpeg's sine of 750 Hz at a rate that the core of HE-AAC has, without its beginning, which is uneven. Each frame has whole
/// periods.
const MONO_24000: &[u8] = include_bytes!("sine-mono-24000.aac");

/// FFmpeg's sines of 440 Hz on the left and 1000 Hz on the right.
const STEREO_44100: &[u8] = include_bytes!("sines-stereo-44100.aac");

/// The amplitude of FFmpeg's sines.
const LEVEL: f64 = 0.125;

/// Samples that FFmpeg's encoder puts in front.
const ENCODER_DELAY_SAMPLES: f64 = 1024.0;

/// The encoder's delay, in ticks.
const DELAY: i64 = 120;

fn config(sample_rate_hz: u32, channels: u8) -> AacConfig {
    AacConfig {
        object_type: 2,
        sample_rate_hz,
        frame_samples: 1024,
        channels: AacChannels::Configuration(channels),
    }
}

/// The frames of a file in ADTS.
fn frames(adts: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (Vec::new(), adts);
    while let [_, _, _, high, middle, low, _, ..] = rest {
        let length = usize::from(high & 3) << 11 | usize::from(*middle) << 3 | usize::from(low >> 5);
        let (frame, behind) = rest.split_at(length);
        frames.push(&frame[7..]);
        rest = behind;
    }
    frames
}

fn time_ms(frame: usize, rate_hz: usize) -> i64 {
    (frame * 1024 * 1000 / rate_hz) as i64
}

fn transcode(transcoder: &mut Transcoder, time_ms: i64, frame: &[u8]) -> Vec<AudioUnit> {
    let mut units = Vec::new();
    transcoder.push(time_ms, frame, |unit| units.push(unit)).unwrap();
    units
}

fn transcode_all(adts: &[u8], rate_hz: u32, channels: u8) -> Vec<AudioUnit> {
    let mut transcoder = Transcoder::new(&config(rate_hz, channels), OpusRate::default()).unwrap();
    let frames = frames(adts).into_iter().enumerate();
    frames.flat_map(|(at, frame)| transcode(&mut transcoder, time_ms(at, rate_hz as usize), frame)).collect()
}

/// Asserts that a channel is the sine, at its time and level, for half a second.
fn assert_is_sine(samples: &[f32], frequency_hz: f64, rate_hz: u32) {
    let start_s = ENCODER_DELAY_SAMPLES / f64::from(rate_hz) + DELAY as f64 / 48_000.0;
    // A tenth of a second has a whole number of periods of both sines.
    let tenths = samples.chunks_exact(4800).enumerate().skip(1).take(4);
    for (tenth, samples) in tenths {
        let (mut in_phase, mut ahead) = (0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let time_s = (tenth * 4800 + at) as f64 / 48_000.0;
            let angle = 2.0 * PI * frequency_hz * (time_s - start_s);
            in_phase += f64::from(*sample) * angle.sin() / 2400.0;
            ahead += f64::from(*sample) * angle.cos() / 2400.0;
        }
        let level = in_phase.hypot(ahead) / LEVEL;
        assert!((0.95..1.05).contains(&level), "{frequency_hz} Hz has {level} of its level");
        let late_s = -ahead.atan2(in_phase) / (2.0 * PI * frequency_hz);
        assert!(late_s.abs() < 1.0 / 48_000.0, "{frequency_hz} Hz is {late_s} s late");
    }
}

fn payloads(units: &[AudioUnit]) -> Vec<Arc<[u8]>> {
    units.iter().map(|unit| unit.payload.clone()).collect()
}

#[test]
fn a_sine_comes_out_at_its_time_and_level() {
    let mono = transcode_all(MONO_48000, 48_000, 1);
    assert_is_sine(&decode(&payloads(&mono), 1)[0], 440.0, 48_000);
    let stereo = transcode_all(STEREO_44100, 44_100, 2);
    let channels = decode(&payloads(&stereo), 2);
    assert_is_sine(&channels[0], 440.0, 44_100);
    assert_is_sine(&channels[1], 1000.0, 44_100);
}

#[test]
fn packets_follow_each_other_exactly_whatever_is_rounded() {
    let (frames, mut transcoder) =
        (frames(STEREO_44100), Transcoder::new(&config(44_100, 2), OpusRate::default()).unwrap());
    let count = 44_100 * 10 / 1024;
    let ticks: Vec<_> = (0..count)
        .flat_map(|at| transcode(&mut transcoder, time_ms(at, 44_100), frames[at % frames.len()]))
        .map(|unit| unit.ticks)
        .collect();
    assert_eq!(ticks.first(), Some(&-DELAY));
    assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == PACKET_SAMPLES as i64), "{ticks:?}");
    let end_ms = (ticks.last().unwrap() + DELAY) / OPUS_TICKS_PER_MS + 20;
    assert!((time_ms(count, 44_100) - 25..=time_ms(count, 44_100)).contains(&end_ms), "{end_ms}");
}

/// A player that presents a packet at its time needs to be that far behind the stream.
#[test]
fn audio_is_at_most_24_ms_later_than_in_aac() {
    for (adts, rate_hz, channels) in [(MONO_48000, 48_000, 1), (STEREO_44100, 44_100, 2)] {
        let frames = frames(adts);
        let mut transcoder = Transcoder::new(&config(rate_hz, channels), OpusRate::default()).unwrap();
        let late_ticks = (0..10 * rate_hz as usize / 1024).flat_map(|at| {
            let arrived_ms = time_ms(at, rate_hz as usize);
            let units = transcode(&mut transcoder, arrived_ms, frames[at % frames.len()]);
            units.into_iter().map(move |unit| arrived_ms * OPUS_TICKS_PER_MS - unit.ticks)
        });
        let worst = late_ticks.max().unwrap();
        assert!(worst <= 24 * OPUS_TICKS_PER_MS, "{worst} ticks at {rate_hz} Hz");
    }
}

#[test]
fn a_jump_starts_anew_at_its_time() {
    let frames = frames(MONO_48000);
    for jumped_ms in [1000, 0] {
        let mut transcoder = Transcoder::new(&config(48_000, 1), OpusRate::default()).unwrap();
        for (at, frame) in frames.iter().take(10).enumerate() {
            transcode(&mut transcoder, 500 + time_ms(at, 48_000), frame);
        }
        let units = transcode(&mut transcoder, jumped_ms, frames[10]);
        assert_eq!(units[0].ticks, jumped_ms * OPUS_TICKS_PER_MS - DELAY);
    }
}

#[test]
fn a_broken_frame_is_silence_and_many_are_the_end() {
    let frames = frames(MONO_48000);
    let mut transcoder = Transcoder::new(&config(48_000, 1), OpusRate::default()).unwrap();
    let broken = &frames[1][..8];
    let count = (0..9).map(|at| {
        let frame = if at % 2 == 1 { broken } else { frames[at] };
        transcode(&mut transcoder, time_ms(at, 48_000), frame).len()
    });
    assert_eq!(count.sum::<usize>(), 9 * 1024 / 960, "no time is missing");
    let mut push = |at: usize| transcoder.push(time_ms(at, 48_000), broken, |_| {});
    assert!((9..9 + FAILURES_MAX as usize).all(|at| push(at).is_ok()));
    assert!(matches!(push(9 + FAILURES_MAX as usize), Err(NoAudio::Decoder(_))));
}

/// HE-AAC's extension is a fill element (ISO/IEC 14496-3, section 4.4.2.7).
#[test]
fn the_extension_of_he_aac_is_left_out() {
    let extended = |frame: &&[u8]| {
        // A fill element of one byte in front, of type EXT_SBR_DATA: 15 bits.
        let extension = [0xC3, 0xA0];
        let mut bytes = vec![extension[0], extension[1] | frame[0] >> 7];
        bytes.extend(frame.windows(2).map(|pair| pair[0] << 1 | pair[1] >> 7));
        bytes.push(frame[frame.len() - 1] << 1);
        bytes
    };
    // The usual rate of a core with an extension is the half of 48 kHz.
    for (adts, rate_hz, frequency_hz) in [(MONO_48000, 48_000, 440.0), (MONO_24000, 24_000, 750.0)] {
        let mut transcoder = Transcoder::new(&config(rate_hz, 1), OpusRate::default()).unwrap();
        let frames = frames(adts).iter().map(extended).collect::<Vec<_>>();
        let transcoded = frames
            .iter()
            .enumerate()
            .flat_map(|(at, frame)| transcode(&mut transcoder, time_ms(at, rate_hz as usize), frame));
        let units: Vec<_> = transcoded.collect();
        assert_is_sine(&decode(&payloads(&units), 1)[0], frequency_hz, rate_hz);
    }
}

#[test]
fn other_aac_is_refused() {
    let other_kinds = [
        config(44_100, 6),
        config(96_000, 2),
        AacConfig { object_type: 4, ..config(44_100, 2) },
        AacConfig { frame_samples: 960, ..config(44_100, 2) },
        config(44_101, 2),
    ];
    for config in other_kinds {
        assert_eq!(
            Transcoder::new(&config, OpusRate::default()).err(),
            Some(NoAudio::UnsupportedAac),
            "{config:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_are_taken(
        garbage in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..8), stereo: bool,
    ) {
        let mut transcoder = Transcoder::new(&config(44_100, if stereo { 2 } else { 1 }), OpusRate::default()).unwrap();
        for (at, frame) in garbage.iter().enumerate() {
            let _ = transcoder.push(time_ms(at, 44_100), frame, |_| {});
        }
    }

    #[test]
    fn damaged_frames_are_taken(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 8)) {
        let mut transcoder = Transcoder::new(&config(44_100, 2), OpusRate::default()).unwrap();
        for (at, (frame, (index, byte))) in frames(STEREO_44100).into_iter().zip(damage).enumerate() {
            let mut frame = frame.to_vec();
            *index.get_mut(&mut frame) = byte;
            let _ = transcoder.push(time_ms(at, 44_100), &frame, |_| {});
        }
    }
}
