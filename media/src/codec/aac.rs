//! The body of an AAC sequence header: AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::bits::BitReader;

const SAMPLE_RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const EXPLICIT_RATE: u32 = 15;
const OBJECT_TYPE_ESCAPE: u32 = 31;
const OBJECT_TYPE_SBR: u32 = 5;
const OBJECT_TYPE_PS: u32 = 29;

/// The core of an AAC stream. HE-AAC is described by its core as well: decoders find the extension in the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    /// The audio object type, 1 to 4; 2 is AAC-LC.
    pub object_type: u8,
    /// The sampling frequency, in Hz.
    pub sample_rate_hz: u32,
    /// Samples per frame and channel: 1024 or 960.
    pub frame_samples: u32,
    /// The channels.
    pub channels: AacChannels,
}

/// The channels of an AAC stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AacChannels {
    /// A channel configuration of table 1.19; never 0.
    Configuration(u8),
    /// A program config element, which describes any layout.
    Program(ProgramConfig),
}

/// The syntactic elements of each frame, by where their channels are heard (section 4.5.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramConfig {
    /// Elements in front of the listener, in their order.
    pub front: Vec<ChannelElement>,
    /// Elements beside and behind the listener, in their order.
    pub surround: Vec<ChannelElement>,
    /// The number of channels for low frequencies.
    pub lfe_count: u32,
}

/// One or two channels that are coded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelElement {
    /// One channel.
    Single,
    /// Two channels.
    Pair,
}

/// The reason an AudioSpecificConfig cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum AacConfigError {
    /// The configuration ends before what it announces.
    #[error("the AAC configuration is cut short")]
    Truncated,
    /// An audio object type other than the four of MPEG-2.
    #[error("AAC object type {0} is not supported")]
    ObjectType(u32),
    /// An index that the format reserves.
    #[error("sampling frequency index {0} is reserved")]
    SampleRateIndex(u32),
}

/// The layout of a channel configuration.
struct Layout {
    configuration: u8,
    front: &'static [ChannelElement],
    surround: &'static [ChannelElement],
    lfe_count: u32,
}

/// ISO/IEC 14496-3, table 1.19.
const LAYOUTS: [Layout; 7] = {
    use ChannelElement::{Pair, Single};
    [
        Layout { configuration: 1, front: &[Single], surround: &[], lfe_count: 0 },
        Layout { configuration: 2, front: &[Pair], surround: &[], lfe_count: 0 },
        Layout { configuration: 3, front: &[Single, Pair], surround: &[], lfe_count: 0 },
        Layout { configuration: 4, front: &[Single, Pair], surround: &[Single], lfe_count: 0 },
        Layout { configuration: 5, front: &[Single, Pair], surround: &[Pair], lfe_count: 0 },
        Layout { configuration: 6, front: &[Single, Pair], surround: &[Pair], lfe_count: 1 },
        Layout { configuration: 7, front: &[Single, Pair, Pair], surround: &[Pair], lfe_count: 1 },
    ]
};

impl ProgramConfig {
    /// The channel configuration with the same elements in the same order, if there is one.
    pub fn configuration(&self) -> Option<u8> {
        let found = LAYOUTS.iter().find(|layout| {
            self.front == layout.front
                && self.surround == layout.surround
                && self.lfe_count == layout.lfe_count
        });
        found.map(|layout| layout.configuration)
    }
}

impl AacConfig {
    /// Reads an AudioSpecificConfig.
    pub fn parse(config: &[u8]) -> Result<Self, AacConfigError> {
        let mut reader = ConfigReader(BitReader::new(config));
        let mut object_type = reader.object_type()?;
        let sample_rate_hz = reader.sample_rate_hz()?;
        let configuration = reader.read(4)?;
        if object_type == OBJECT_TYPE_SBR || object_type == OBJECT_TYPE_PS {
            reader.sample_rate_hz()?;
            object_type = reader.object_type()?;
        }
        if !(1..=4).contains(&object_type) {
            return Err(AacConfigError::ObjectType(object_type));
        }
        let frame_samples = if reader.flag()? { 960 } else { 1024 };
        let channels = match configuration {
            0 => AacChannels::Program(reader.program_behind_frame_length()?),
            configuration => AacChannels::Configuration(configuration as u8),
        };
        Ok(Self { object_type: object_type as u8, sample_rate_hz, frame_samples, channels })
    }
}

/// Returns whether a configuration names an extension, spectral band replication or parametric stereo (HE-AAC): in front of
/// its core, or behind it, where decoders of the core alone do not look (section 1.6.5). An encoder may leave that to the
/// frames.
pub fn has_extension(config: &[u8]) -> bool {
    let mut reader = ConfigReader(BitReader::new(config));
    match reader.object_type() {
        Ok(OBJECT_TYPE_SBR | OBJECT_TYPE_PS) => true,
        Ok(_) => reader.extension_behind_core().unwrap_or(false),
        Err(_) => false,
    }
}

/// A frame (raw_data_block, section 4.4.2.1) in which no element has any spectral data: silence at any sampling frequency.
/// `None` for layouts that have no channel configuration.
pub fn silent_frame(configuration: u8) -> Option<Vec<u8>> {
    const SINGLE: u32 = 0;
    const PAIR: u32 = 1;
    const LFE: u32 = 3;
    const END: u32 = 7;
    /// Gain, window, no bands, no tools.
    const CHANNEL_BITS: usize = 8 + 11 + 3;
    let layout = LAYOUTS.iter().find(|layout| layout.configuration == configuration)?;
    let (mut bits, mut tags) = (BitWriter::default(), [0; 2]);
    for element in layout.front.iter().chain(layout.surround) {
        let (id, channels_bits) = match element {
            ChannelElement::Single => (SINGLE, CHANNEL_BITS),
            ChannelElement::Pair => (PAIR, 1 + 2 * CHANNEL_BITS),
        };
        let tag = &mut tags[usize::from(id == PAIR)];
        bits.put(id, 3);
        bits.put(*tag, 4);
        bits.put(0, channels_bits);
        *tag += 1;
    }
    for tag in 0..layout.lfe_count {
        bits.put(LFE, 3);
        bits.put(tag, 4);
        bits.put(0, CHANNEL_BITS);
    }
    bits.put(END, 3);
    Some(bits.bytes)
}

/// The index of a sampling frequency (table 1.18), or of the one within 2 % of it.
pub fn sampling_index(rate_hz: u32) -> Option<u8> {
    let index = SAMPLE_RATES_HZ.iter().position(|known_hz| known_hz.abs_diff(rate_hz) * 50 <= *known_hz);
    index.map(|index| index as u8)
}

/// The sampling frequency of an index, in Hz.
pub fn indexed_rate_hz(index: u8) -> Option<u32> {
    SAMPLE_RATES_HZ.get(usize::from(index)).copied()
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    /// Appends the low `count` bits of a value, the highest first.
    fn put(&mut self, value: u32, count: usize) {
        for at in (0..count).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = if at < 32 { (value >> at & 1) as u8 } else { 0 };
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.count % 8);
            }
            self.count += 1;
        }
    }
}

struct ConfigReader<'a>(BitReader<'a>);

impl ConfigReader<'_> {
    fn read(&mut self, count: usize) -> Result<u32, AacConfigError> {
        self.0.bits(count).ok_or(AacConfigError::Truncated)
    }

    fn flag(&mut self) -> Result<bool, AacConfigError> {
        self.0.flag().ok_or(AacConfigError::Truncated)
    }

    fn object_type(&mut self) -> Result<u32, AacConfigError> {
        match self.read(5)? {
            OBJECT_TYPE_ESCAPE => Ok(32 + self.read(6)?),
            object_type => Ok(object_type),
        }
    }

    fn sample_rate_hz(&mut self) -> Result<u32, AacConfigError> {
        match self.read(4)? {
            EXPLICIT_RATE => self.read(24),
            index => indexed_rate_hz(index as u8).ok_or(AacConfigError::SampleRateIndex(index)),
        }
    }

    /// Reads what follows the object type of a core. Returns whether spectral band replication is named behind it. A core with a
    /// program of its own is not looked behind.
    fn extension_behind_core(&mut self) -> Result<bool, AacConfigError> {
        const SYNC_EXTENSION: u32 = 0x2B7;
        self.sample_rate_hz()?;
        let configuration = self.read(4)?;
        if configuration == 0 {
            return Ok(false);
        }
        self.flag()?;
        self.skip_core_coder()?;
        let is_named = self.read(11)? == SYNC_EXTENSION && self.object_type()? == OBJECT_TYPE_SBR;
        Ok(is_named && self.flag()?)
    }

    /// Reads the middle of a GASpecificConfig (section 4.4.1), behind the frame length.
    fn skip_core_coder(&mut self) -> Result<(), AacConfigError> {
        const CORE_CODER_DELAY_BITS: usize = 14;
        if self.flag()? {
            self.read(CORE_CODER_DELAY_BITS)?;
        }
        self.flag().map(drop)
    }

    /// Reads the rest of a GASpecificConfig (section 4.4.1) up to the elements of its program.
    fn program_behind_frame_length(&mut self) -> Result<ProgramConfig, AacConfigError> {
        self.skip_core_coder()?;
        self.program_config()
    }

    /// Reads a program_config_element (section 4.4.1.1) up to its channels.
    fn program_config(&mut self) -> Result<ProgramConfig, AacConfigError> {
        const TAG_OBJECT_TYPE_AND_RATE_BITS: usize = 4 + 2 + 4;
        self.read(TAG_OBJECT_TYPE_AND_RATE_BITS)?;
        let (front_count, side_count, back_count) = (self.read(4)?, self.read(4)?, self.read(4)?);
        let lfe_count = self.read(2)?;
        const ASSOCIATED_DATA_AND_COUPLING_BITS: usize = 3 + 4;
        self.read(ASSOCIATED_DATA_AND_COUPLING_BITS)?;
        for mixdown_bits in [4, 4, 3] {
            if self.flag()? {
                self.read(mixdown_bits)?;
            }
        }
        let front = self.elements(front_count)?;
        let surround = self.elements(side_count + back_count)?;
        Ok(ProgramConfig { front, surround, lfe_count })
    }

    fn elements(&mut self, count: u32) -> Result<Vec<ChannelElement>, AacConfigError> {
        (0..count).map(|_| self.element()).collect()
    }

    fn element(&mut self) -> Result<ChannelElement, AacConfigError> {
        let element = if self.flag()? { ChannelElement::Pair } else { ChannelElement::Single };
        const TAG_BITS: usize = 4;
        self.read(TAG_BITS)?;
        Ok(element)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_channel_configuration_is_read() {
        let expected = AacConfig {
            object_type: 2,
            sample_rate_hz: 44_100,
            frame_samples: 1024,
            channels: AacChannels::Configuration(2),
        };
        assert_eq!(AacConfig::parse(&[0x12, 0x10]), Ok(expected));
    }

    #[test]
    fn he_aac_is_described_by_its_core() {
        for config in [[0x2B, 0x92, 0x08, 0x00], [0xEB, 0x92, 0x08, 0x00]] {
            let config = AacConfig::parse(&config).unwrap();
            assert_eq!((config.object_type, config.sample_rate_hz), (2, 22_050));
        }
    }

    #[test]
    fn an_extension_is_found_in_front_of_the_core_and_behind_it() {
        // Behind AAC-LC of 24 kHz: the sync word, object type 5, the flag, and the rate.
        let behind = [0x13, 0x10, 0x56, 0xE5, 0x98];
        assert!(has_extension(&behind) && has_extension(&[0x2B, 0x92, 0x08, 0x00]));
        assert_eq!(AacConfig::parse(&behind).unwrap().sample_rate_hz, 24_000);
        let without_flag = [0x13, 0x10, 0x56, 0xE5, 0x18];
        for config in [&without_flag[..], &behind[..4], &behind[..3], &[0x13, 0x10], &[0x13], &[]] {
            assert!(!has_extension(config), "{config:?}");
        }
    }

    /// Configurations of FFmpeg's encoder with `-aac_pce 1`, for stereo and for 7.1.
    #[test]
    fn a_program_config_element_is_read() {
        use ChannelElement::{Pair, Single};
        let channels = |config: &[u8]| match AacConfig::parse(config).unwrap().channels {
            AacChannels::Program(program) => (program.front, program.surround, program.lfe_count),
            other => panic!("{other:?}"),
        };
        let stereo = b"\x12\x00\x05\x04\x00\x00\x20\x00\x0D";
        assert_eq!(channels(stereo), (vec![Pair], vec![], 0));
        let surround = b"\x12\x00\x05\x08\x48\x00\x20\x00\xC6\x40\x00";
        assert_eq!(channels(surround), (vec![Pair, Single], vec![Single, Pair, Pair], 0));
    }

    #[test]
    fn a_silent_frame_has_the_elements_of_its_configuration() {
        assert_eq!(silent_frame(1), Some(vec![0, 0, 0, 7]));
        assert_eq!(silent_frame(2), Some(vec![0x20, 0, 0, 0, 0, 0, 0x0E]));
        assert_eq!(silent_frame(6).map(|frame| frame.len()), Some((29 + 52 + 52 + 29 + 3_usize).div_ceil(8)));
        assert_eq!((silent_frame(0), silent_frame(8)), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(AacConfig::parse(&[]), Err(AacConfigError::Truncated));
        assert_eq!(AacConfig::parse(&[0x12]), Err(AacConfigError::Truncated));
        assert_eq!(AacConfig::parse(&[0x12, 0x00]), Err(AacConfigError::Truncated));
        assert_eq!(AacConfig::parse(&[0x16, 0x90]), Err(AacConfigError::SampleRateIndex(13)));
        assert_eq!(AacConfig::parse(&[0xF8, 0xE6, 0x40, 0x00]), Err(AacConfigError::ObjectType(39)));
    }

    #[test]
    fn a_frequency_has_the_index_of_the_nearest_one() {
        for (rate_hz, index) in [(44_100, Some(4)), (47_952, Some(3)), (40_000, None), (0xFF_FFFF, None)] {
            assert_eq!(sampling_index(rate_hz), index, "{rate_hz}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(config in proptest::collection::vec(any::<u8>(), 0..32)) {
            let _ = (AacConfig::parse(&config), has_extension(&config));
        }
    }
}
