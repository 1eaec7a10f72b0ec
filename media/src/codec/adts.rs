//! The header that makes an AAC frame stand alone (ADTS, ISO/IEC 14496-3, section 1.A.2.2).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::aac::{
    AacChannels, AacConfig, AacConfigError, indexed_rate_hz, sampling_index, silent_frame,
};

/// Bytes of a header without a checksum.
pub const ADTS_HEADER_BYTES: usize = 7;

/// The largest AAC frame that the header's 13 bits can express, in bytes.
pub const AAC_FRAME_MAX_BYTES: usize = 0x1FFF - ADTS_HEADER_BYTES;

/// Samples of one AAC frame, at the core's rate.
pub const AAC_FRAME_SAMPLES: u32 = 1024;

/// The fields of an ADTS header that describe an AAC stream.
///
/// HE-AAC is described as its core: decoders find the extension in the frames, and ADTS has no place for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdtsConfig {
    profile: u8,
    sampling_index: u8,
    channels: u8,
}

/// The reason that AAC cannot be carried in ADTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum AdtsError {
    /// The sequence header cannot be used.
    #[error(transparent)]
    Config(#[from] AacConfigError),
    /// A sampling frequency that is not within 2 % of one that has an index.
    #[error("ADTS has no sampling frequency {0} Hz")]
    SampleRate(u32),
    /// A channel configuration outside 1 to 7.
    #[error("ADTS has no channel configuration {0}")]
    Channels(u8),
    /// A program config element whose layout has no channel configuration.
    #[error("ADTS has no channel configuration for the layout in the program config element")]
    Layout,
    /// Frames of 960 samples.
    #[error("ADTS has no frames of 960 samples")]
    FrameLength,
    /// A frame over [`AAC_FRAME_MAX_BYTES`].
    #[error("an AAC frame of {0} bytes is too large for ADTS")]
    FrameSize(usize),
}

impl AdtsConfig {
    /// Reads an AAC sequence header.
    pub fn parse(config: &[u8]) -> Result<Self, AdtsError> {
        Self::new(&AacConfig::parse(config)?)
    }

    fn new(config: &AacConfig) -> Result<Self, AdtsError> {
        if config.frame_samples != AAC_FRAME_SAMPLES {
            return Err(AdtsError::FrameLength);
        }
        let sampling_index = sampling_index(config.sample_rate_hz);
        Ok(Self {
            profile: config.object_type.saturating_sub(1),
            sampling_index: sampling_index.ok_or(AdtsError::SampleRate(config.sample_rate_hz))?,
            channels: channel_configuration(&config.channels)?,
        })
    }

    /// The header of a frame of `frame_bytes`.
    pub fn header(&self, frame_bytes: usize) -> Result<[u8; ADTS_HEADER_BYTES], AdtsError> {
        if frame_bytes > AAC_FRAME_MAX_BYTES {
            return Err(AdtsError::FrameSize(frame_bytes));
        }
        let size = frame_bytes + ADTS_HEADER_BYTES;
        Ok([
            0xFF,
            0xF1,
            self.profile << 6 | self.sampling_index << 2 | self.channels >> 2,
            (self.channels & 3) << 6 | (size >> 11) as u8,
            (size >> 3) as u8,
            (size as u8 & 7) << 5 | 0x1F,
            0xFC,
        ])
    }

    /// A frame of silence.
    pub fn silence(&self) -> Option<Vec<u8>> {
        silent_frame(self.channels)
    }

    /// The sampling frequency that the header names.
    pub fn sample_rate_hz(&self) -> u32 {
        indexed_rate_hz(self.sampling_index).unwrap_or_default()
    }
}

/// The header's three bits. Some encoders describe every layout in a program config element, also one that has a channel
/// configuration: frames are the same then, and any player knows the configuration.
fn channel_configuration(channels: &AacChannels) -> Result<u8, AdtsError> {
    match channels {
        AacChannels::Configuration(configuration @ 1..=7) => Ok(*configuration),
        AacChannels::Configuration(other) => Err(AdtsError::Channels(*other)),
        AacChannels::Program(program) => program.configuration().ok_or(AdtsError::Layout),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::aac::{
        ChannelElement::{self, Pair, Single},
        ProgramConfig,
    };

    #[test]
    fn aac_lc_44100_stereo() {
        let config = AdtsConfig::parse(&[0x12, 0x10]).unwrap();
        assert_eq!(config.sample_rate_hz(), 44_100);
        assert_eq!(config.header(100).unwrap(), [0xFF, 0xF1, 0x50, 0x80, 0x0D, 0x7F, 0xFC]);
    }

    #[test]
    fn aac_lc_48000_with_six_channels() {
        let config = AdtsConfig::parse(&[0x11, 0xB0]).unwrap();
        assert_eq!(config, AdtsConfig { profile: 1, sampling_index: 3, channels: 6 });
        assert_eq!(config.header(8184).unwrap(), [0xFF, 0xF1, 0x4D, 0x83, 0xFF, 0xFF, 0xFC]);
        assert_eq!(config.header(8185), Err(AdtsError::FrameSize(8185)));
    }

    #[test]
    fn he_aac_is_described_as_its_core() {
        let core = AdtsConfig { profile: 1, sampling_index: 7, channels: 2 };
        assert_eq!(AdtsConfig::parse(&[0x2B, 0x92, 0x08, 0x00]), Ok(core));
        assert_eq!(AdtsConfig::parse(&[0xEB, 0x92, 0x08, 0x00]), Ok(core));
    }

    fn explicit_rate(rate_hz: u32) -> Result<AdtsConfig, AdtsError> {
        let bits = (2_u64 << 59) | (15 << 55) | (u64::from(rate_hz) << 31) | (2 << 27);
        AdtsConfig::parse(&bits.to_be_bytes())
    }

    #[test]
    fn a_frequency_in_full_gets_the_nearest_index() {
        assert_eq!(explicit_rate(44_100).unwrap().sample_rate_hz(), 44_100);
        assert_eq!(explicit_rate(47_952).unwrap().sample_rate_hz(), 48_000);
        assert_eq!(explicit_rate(40_000), Err(AdtsError::SampleRate(40_000)));
        assert_eq!(explicit_rate(0xFF_FFFF), Err(AdtsError::SampleRate(0xFF_FFFF)));
    }

    #[test]
    fn a_layout_that_has_a_configuration_gets_it_however_it_was_described() {
        let program = |front: &[ChannelElement], surround: &[ChannelElement], lfe_count| {
            let (front, surround) = (front.to_vec(), surround.to_vec());
            channel_configuration(&AacChannels::Program(ProgramConfig { front, surround, lfe_count }))
        };
        assert_eq!(program(&[Single], &[], 0), Ok(1));
        assert_eq!(program(&[Pair], &[], 0), Ok(2));
        assert_eq!(program(&[Single, Pair], &[Pair], 1), Ok(6));
        assert_eq!(program(&[Single, Pair, Pair], &[Pair], 1), Ok(7));
        assert_eq!(program(&[Pair], &[Pair], 0), Err(AdtsError::Layout));
        assert_eq!(program(&[Pair], &[], 1), Err(AdtsError::Layout));
        assert_eq!(program(&[], &[], 0), Err(AdtsError::Layout));
    }

    #[test]
    fn what_adts_cannot_express_is_refused() {
        assert_eq!(AdtsConfig::parse(&[]), Err(AacConfigError::Truncated.into()));
        assert_eq!(AdtsConfig::parse(&[0x12, 0x14]), Err(AdtsError::FrameLength));
        assert_eq!(AdtsConfig::parse(&[0x12, 0x58]), Err(AdtsError::Channels(11)));
        assert_eq!(AdtsConfig::parse(&[0xF8, 0xE6, 0x40, 0x00]), Err(AacConfigError::ObjectType(39).into()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(config in proptest::collection::vec(any::<u8>(), 0..32), size: usize) {
            if let Ok(config) = AdtsConfig::parse(&config) {
                let _ = config.header(size);
            }
        }
    }
}
