//! Encodes Opus (RFC 6716). The only module that names ropus.

use std::sync::Arc;

use ropus::{Application, Bitrate, Channels, Encoder};

use crate::webrtc::audio::{no_audio::NoAudio, rate::OpusRate};

/// Samples of a packet and channel: 20 ms.
pub const PACKET_SAMPLES: usize = 960;

/// The size of the largest packet of one frame, in bytes (RFC 6716, section 3.2.1).
const PACKET_MAX_BYTES: usize = 1275;

/// Of 0 to 10. From 5 on the encoder looks for the pitch, which takes as long as all the rest and gains half a decibel in chords
/// and nothing in noise; below 2 it does not adapt its resolution in time to what it encodes.
const COMPLEXITY: u8 = 2;

/// The encoder of one stream.
pub struct OpusEncoder {
    encoder: Encoder,
    /// The samples of a packet, as the encoder computes with them. It would convert them itself, one by one, in a function of
    /// the mathematical library, and look at those of the larger type once more.
    samples: Vec<i16>,
    packet: Box<[u8; PACKET_MAX_BYTES]>,
}

impl OpusEncoder {
    /// Starts an encoder for one or two channels at 48 kHz.
    pub fn new(channel_count: usize, rate: OpusRate) -> Result<Self, NoAudio> {
        let channels = if channel_count == 1 { Channels::Mono } else { Channels::Stereo };
        // Speech and music in one mode: the others add delay, and are better only at a third of the rate.
        let encoder = Encoder::builder(48_000, channels, Application::RestrictedLowDelay)
            .bitrate(Bitrate::Bits(rate.bits_per_s(channel_count)))
            .complexity(COMPLEXITY)
            .build()
            .map_err(|error| NoAudio::Encoder(error.to_string()))?;
        Ok(Self { encoder, samples: Vec::new(), packet: Box::new([0; PACKET_MAX_BYTES]) })
    }

    /// Returns how many samples later than its packet a decoder puts out what was encoded.
    pub fn delay_samples(&self) -> u32 {
        self.encoder.lookahead()
    }

    /// Encodes a packet of [`PACKET_SAMPLES`] samples, of which each has all channels.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Arc<[u8]>, NoAudio> {
        self.samples.clear();
        self.samples.extend(samples.iter().map(|sample| to_i16(*sample)));
        let length = self.encoder.encode(&self.samples, &mut self.packet[..]);
        let length = length.map_err(|error| NoAudio::Encoder(error.to_string()))?;
        Ok(self.packet.get(..length).unwrap_or_default().into())
    }
}

/// Converts a sample of -1 to 1 to the nearest of 16 bits. Values beyond are clipped, and NaN is silence.
fn to_i16(sample: f32) -> i16 {
    let scaled = sample * 32_768.0;
    (scaled + 0.5_f32.copysign(scaled)) as i16
}

#[cfg(test)]
pub mod tests {
    use std::slice::from_ref;

    use ropus::{DecodeMode, Decoder};

    use super::*;

    /// A browser's decoding of packets, for each channel.
    pub fn decode(packets: &[Arc<[u8]>], channel_count: usize) -> Vec<Vec<f32>> {
        let channels = if channel_count == 1 { Channels::Mono } else { Channels::Stereo };
        let mut decoder = Decoder::new(48_000, channels).unwrap();
        let mut decoded = vec![Vec::new(); channel_count];
        let mut samples = vec![0.0; PACKET_SAMPLES * channel_count];
        for packet in packets {
            let count = decoder.decode_float(packet, &mut samples, DecodeMode::Normal).unwrap();
            assert_eq!(count, PACKET_SAMPLES);
            for (at, sample) in samples.iter().enumerate() {
                decoded[at % channel_count].push(*sample);
            }
        }
        decoded
    }

    #[test]
    fn samples_are_rounded_and_cut_off() {
        let expected =
            [(0.0, 0), (0.5, 16_384), (-1.0, -32_768), (1.0, 32_767), (9.0, 32_767), (-9.0, -32_768)];
        for (sample, rounded) in
            expected.into_iter().chain([(f32::NAN, 0), (0.6 / 32_768.0, 1), (-0.4 / 32_768.0, 0)])
        {
            assert_eq!(to_i16(sample), rounded, "{sample}");
        }
    }

    #[test]
    fn silence_and_noise_at_full_scale_and_beyond_are_packets() {
        let mut encoder = OpusEncoder::new(2, OpusRate::default()).unwrap();
        let mut state = 1_u32;
        let mut noise = |level: f32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state as f32 / u32::MAX as f32 * 2.0 - 1.0) * level
        };
        for level in [0.0, 1.0, 0.0, 1000.0, f32::INFINITY, f32::NAN, 0.0] {
            let samples: Vec<f32> = (0..PACKET_SAMPLES * 2).map(|_| noise(level)).collect();
            let packet = encoder.encode(&samples).unwrap();
            let decoded = decode(from_ref(&packet), 2);
            assert!(decoded.iter().flatten().all(|sample| sample.abs() <= 1.5));
        }
    }

    /// The complexity is low for the sake of the processor: this is what it may cost.
    #[test]
    fn sines_are_25_db_above_what_the_encoder_adds() {
        let mut encoder = OpusEncoder::new(2, OpusRate::default()).unwrap();
        let sine = |frequency_hz: f32, at: usize| {
            0.125 * (2.0 * std::f32::consts::PI * frequency_hz * (at % 48_000) as f32 / 48_000.0).sin()
        };
        let input: Vec<f32> = (0..3 * 48_000).flat_map(|at| [sine(440.0, at), sine(1000.0, at)]).collect();
        let packets: Vec<_> =
            input.chunks_exact(2 * PACKET_SAMPLES).map(|samples| encoder.encode(samples).unwrap()).collect();
        let decoded = decode(&packets, 2);
        let delay = encoder.delay_samples() as usize;
        for (channel, samples) in decoded.iter().enumerate() {
            // The encoder settles in the first second.
            let pairs = input.iter().skip(channel).step_by(2).zip(&samples[delay..]).skip(48_000);
            let (signal, noise) = pairs.fold((0.0, 0.0), |(signal, noise), (input, output)| {
                (signal + input.powi(2), noise + (input - output).powi(2))
            });
            let ratio_db = 10.0 * (signal / noise).log10();
            assert!(ratio_db > 25.0, "{ratio_db} dB in channel {channel}");
        }
    }

    #[test]
    fn the_rate_is_kept() {
        for (channel_count, kbps, bytes) in [(2, 96, 240), (2, 48, 120), (1, 96, 160)] {
            let mut encoder = OpusEncoder::new(channel_count, OpusRate(kbps)).unwrap();
            let mut state = 1_u32;
            let mut sizes = Vec::new();
            for _ in 0..50 {
                let noise = (0..PACKET_SAMPLES * channel_count).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state as f32 / u32::MAX as f32 - 0.5
                });
                sizes.push(encoder.encode(&noise.collect::<Vec<_>>()).unwrap().len());
            }
            let mean = sizes.iter().sum::<usize>() / sizes.len();
            assert!(mean.abs_diff(bytes) < bytes / 5, "{mean} bytes a packet of {kbps} kbit/s");
        }
    }
}
