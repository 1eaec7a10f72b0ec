//! AAC to Opus, with times that come of counting samples.

use std::fmt;

use crate::{
    codec::{aac::AacConfig, adts::AAC_FRAME_SAMPLES},
    webrtc::audio::{
        aac::{AacDecoder, channel_count},
        no_audio::NoAudio,
        opus::{OpusEncoder, PACKET_SAMPLES},
        rate::OpusRate,
        resampler::{OUTPUT_RATE_HZ, Resampler},
        unit::{AudioUnit, OPUS_TICKS_PER_MS},
    },
};

/// A frame whose time is this far from that of its samples, in ticks of 48 kHz, is of another place in the stream: 40 ms.
/// Times in tags are rounded, and jitter less.
const SPLICE_TICKS: i64 = 40 * OPUS_TICKS_PER_MS;

/// Frames in a row that cannot be decoded before it is given up: about a second.
pub(super) const FAILURES_MAX: u32 = 50;

/// The transcoder of one stream.
pub struct Transcoder {
    decoder: AacDecoder,
    resampler: Resampler,
    encoder: OpusEncoder,
    rate_hz: i64,
    channel_count: usize,
    position: Option<Position>,
    /// At 48 kHz, with all channels in each sample; between frames less than a packet.
    samples: Vec<f32>,
    /// A frame's length for each channel.
    silence: Vec<Vec<f32>>,
    /// Frames in a row that could not be decoded.
    failures: u32,
}

/// A place in the stream, in samples since a frame whose time counts.
#[derive(Debug)]
struct Position {
    /// The frame's time, in ticks.
    origin_ticks: i64,
    decoded_samples: i64,
    packets: i64,
}

impl Transcoder {
    /// Starts one for AAC of this configuration, to Opus of this rate.
    pub fn new(config: &AacConfig, rate: OpusRate) -> Result<Self, NoAudio> {
        let channel_count = channel_count(config).ok_or(NoAudio::UnsupportedAac)?;
        let resampler = Resampler::new(config.sample_rate_hz, channel_count);
        Ok(Self {
            decoder: AacDecoder::new(config)?,
            resampler: resampler.ok_or(NoAudio::UnsupportedAac)?,
            encoder: OpusEncoder::new(channel_count, rate)?,
            rate_hz: config.sample_rate_hz.into(),
            channel_count,
            position: None,
            samples: Vec::new(),
            silence: vec![vec![0.0; AAC_FRAME_SAMPLES as usize]; channel_count],
            failures: 0,
        })
    }

    /// Takes a frame, and hands out the packets that it completes. One that cannot be decoded is silence. An error is final.
    pub fn push(&mut self, time_ms: i64, frame: &[u8], put: impl FnMut(AudioUnit)) -> Result<(), NoAudio> {
        let ticks = time_ms * OPUS_TICKS_PER_MS;
        let is_next = |position: &Position| (position.next_ticks(self.rate_hz) - ticks).abs() <= SPLICE_TICKS;
        if !self.position.as_ref().is_some_and(is_next) {
            self.start_over(ticks);
        }
        match self.decoder.decode(frame) {
            Ok(samples) => {
                self.failures = 0;
                self.resampler.push(samples, &mut self.samples);
            }
            Err(error) => {
                self.failures += 1;
                if self.failures > FAILURES_MAX {
                    return Err(error);
                }
                self.resampler.push(&self.silence, &mut self.samples);
            }
        }
        self.encode(put)
    }

    fn start_over(&mut self, origin_ticks: i64) {
        self.decoder.reset();
        self.resampler.reset();
        self.samples.clear();
        self.position = Some(Position { origin_ticks, decoded_samples: 0, packets: 0 });
    }

    fn encode(&mut self, mut put: impl FnMut(AudioUnit)) -> Result<(), NoAudio> {
        let Some(position) = &mut self.position else { return Ok(()) };
        position.decoded_samples += i64::from(AAC_FRAME_SAMPLES);
        let mut packets = self.samples.chunks_exact(PACKET_SAMPLES * self.channel_count);
        let delay = i64::from(self.encoder.delay_samples());
        for samples in packets.by_ref() {
            let ticks = position.origin_ticks + position.packets * PACKET_SAMPLES as i64 - delay;
            position.packets += 1;
            put(AudioUnit { ticks, payload: self.encoder.encode(samples)? });
        }
        let encoded = self.samples.len() - packets.remainder().len();
        self.samples.drain(..encoded);
        Ok(())
    }
}

impl Position {
    /// The time of the next frame.
    fn next_ticks(&self, rate_hz: i64) -> i64 {
        self.origin_ticks + self.decoded_samples * i64::from(OUTPUT_RATE_HZ) / rate_hz
    }
}

impl fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcoder").field("position", &self.position).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
