//! The header that makes an AAC frame stand alone (ADTS, ISO/IEC 14496-3, section 1.A.2.2), from an AAC sequence header
//! (AudioSpecificConfig, section 1.6.2.1).

use thiserror::Error;

/// Bytes of a header without a checksum.
pub const ADTS_HEADER_BYTES: usize = 7;

/// The largest AAC frame that the header's 13 bits can tell.
pub const AAC_FRAME_MAX_BYTES: usize = 0x1FFF - ADTS_HEADER_BYTES;

/// Samples of one AAC frame, at the core's rate.
pub const AAC_FRAME_SAMPLES: u32 = 1024;

const SAMPLE_RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const EXPLICIT_RATE: u32 = 15;
const OBJECT_TYPE_ESCAPE: u32 = 31;
const OBJECT_TYPE_SBR: u32 = 5;
const OBJECT_TYPE_PS: u32 = 29;

/// What ADTS can say of an AAC stream.
///
/// HE-AAC is told as its core: decoders find the extension in the frames, and ADTS has no place for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsConfig {
    profile: u8,
    sampling_index: u8,
    channels: u8,
}

/// Why AAC cannot be told in ADTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AdtsError {
    /// The configuration ends before what it announces.
    #[error("the AAC configuration is cut short")]
    Truncated,
    /// An audio object type other than the four of MPEG-2.
    #[error("ADTS has no AAC object type {0}")]
    ObjectType(u32),
    /// A sampling frequency that is not within 2 % of one that has an index.
    #[error("ADTS has no sampling frequency {0} Hz")]
    SampleRate(u32),
    /// An index that the format reserves.
    #[error("sampling frequency index {0} is reserved")]
    SampleRateIndex(u32),
    /// A channel configuration outside 1 to 7; 0 means a layout of its own.
    #[error("ADTS has no channel configuration {0}")]
    Channels(u32),
    /// Frames of 960 samples.
    #[error("ADTS has no frames of 960 samples")]
    FrameLength,
    /// A frame over [`AAC_FRAME_MAX_BYTES`].
    #[error("an AAC frame of {0} bytes is too large for ADTS")]
    FrameSize(usize),
}

impl AdtsConfig {
    /// Reads an AudioSpecificConfig.
    pub fn parse(config: &[u8]) -> Result<Self, AdtsError> {
        let mut bits = BitReader { bytes: config, at: 0 };
        let mut object_type = read_object_type(&mut bits)?;
        let sampling_index = read_sampling_index(&mut bits)?;
        let channels = bits.read(4)?;
        if object_type == OBJECT_TYPE_SBR || object_type == OBJECT_TYPE_PS {
            read_sampling_index(&mut bits)?;
            object_type = read_object_type(&mut bits)?;
        }
        if !(1..=4).contains(&object_type) {
            return Err(AdtsError::ObjectType(object_type));
        }
        if !(1..=7).contains(&channels) {
            return Err(AdtsError::Channels(channels));
        }
        if bits.read(1)? == 1 {
            return Err(AdtsError::FrameLength);
        }
        Ok(Self { profile: object_type as u8 - 1, sampling_index, channels: channels as u8 })
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

    /// The core's sampling frequency.
    pub fn sample_rate_hz(&self) -> u32 {
        SAMPLE_RATES_HZ.get(usize::from(self.sampling_index)).copied().unwrap_or(SAMPLE_RATES_HZ[0])
    }
}

fn read_object_type(bits: &mut BitReader<'_>) -> Result<u32, AdtsError> {
    match bits.read(5)? {
        OBJECT_TYPE_ESCAPE => Ok(32 + bits.read(6)?),
        object_type => Ok(object_type),
    }
}

fn read_sampling_index(bits: &mut BitReader<'_>) -> Result<u8, AdtsError> {
    match bits.read(4)? {
        EXPLICIT_RATE => nearest_index(bits.read(24)?),
        index if (index as usize) < SAMPLE_RATES_HZ.len() => Ok(index as u8),
        index => Err(AdtsError::SampleRateIndex(index)),
    }
}

fn nearest_index(rate_hz: u32) -> Result<u8, AdtsError> {
    let index = SAMPLE_RATES_HZ.iter().position(|known_hz| known_hz.abs_diff(rate_hz) * 50 <= *known_hz);
    index.map(|index| index as u8).ok_or(AdtsError::SampleRate(rate_hz))
}

struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    /// The next `count` bits, at most 32.
    fn read(&mut self, count: usize) -> Result<u32, AdtsError> {
        let mut value = 0;
        for at in self.at..self.at + count {
            let byte = self.bytes.get(at / 8).ok_or(AdtsError::Truncated)?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn he_aac_is_told_as_its_core() {
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
    fn what_adts_cannot_tell_is_refused() {
        assert_eq!(AdtsConfig::parse(&[]), Err(AdtsError::Truncated));
        assert_eq!(AdtsConfig::parse(&[0x12]), Err(AdtsError::Truncated));
        assert_eq!(AdtsConfig::parse(&[0x12, 0x00]), Err(AdtsError::Channels(0)));
        assert_eq!(AdtsConfig::parse(&[0x12, 0x14]), Err(AdtsError::FrameLength));
        assert_eq!(AdtsConfig::parse(&[0x16, 0x90]), Err(AdtsError::SampleRateIndex(13)));
        assert_eq!(AdtsConfig::parse(&[0xF8, 0xE6, 0x40, 0x00]), Err(AdtsError::ObjectType(39)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(config in proptest::collection::vec(any::<u8>(), 0..16), size: usize) {
            if let Ok(config) = AdtsConfig::parse(&config) {
                let _ = config.header(size);
            }
        }
    }
}
