//! FLAC (RFC 9639): the stream's description and how long a frame plays.

use super::bits::BitReader;

/// Bytes of a STREAMINFO block without its header.
pub const STREAM_INFO_BYTES: usize = 34;

/// The properties that all frames of one stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlacInfo {
    /// The sampling frequency, in Hz; never 0.
    pub rate_hz: u32,
    /// The number of channels, 1 to 8.
    pub channels: u8,
    /// Bits per sample.
    pub bits: u8,
}

/// The STREAMINFO block in a sequence header, with or without `fLaC` and the block's header before it.
pub fn stream_info(header: &[u8]) -> Option<(&[u8], FlacInfo)> {
    const BLOCK_HEADER_BYTES: usize = 4;
    let block = header.strip_prefix(b"fLaC").unwrap_or(header);
    let block = if block.len() > STREAM_INFO_BYTES { block.get(BLOCK_HEADER_BYTES..)? } else { block };
    let block = block.get(..STREAM_INFO_BYTES)?;
    let mut bits = BitReader::new(block);
    bits.skip(16 + 16 + 24 + 24)?;
    let rate_hz = bits.bits(20)?;
    let info = FlacInfo { rate_hz, channels: bits.bits(3)? as u8 + 1, bits: bits.bits(5)? as u8 + 1 };
    (rate_hz > 0).then_some((block, info))
}

/// Samples per channel in a frame (section 9.1); `None` if no frame begins here.
pub fn frame_samples(frame: &[u8]) -> Option<u32> {
    const SYNC: u32 = 0x3FFE;
    let mut bits = BitReader::new(frame);
    if bits.bits(14)? != SYNC {
        return None;
    }
    bits.skip(2)?;
    let code = bits.bits(4)?;
    bits.skip(4 + 4 + 3 + 1)?;
    // The coded number is as UTF-8 would have it: as many bytes as its first one has ones at the front.
    let ones = (bits.bits(8)? as u8).leading_ones() as usize;
    bits.skip(8 * ones.saturating_sub(1))?;
    match code {
        1 => Some(192),
        2..=5 => Some(576 << (code - 2)),
        6 => Some(bits.bits(8)? + 1),
        7 => Some(bits.bits(16)? + 1),
        8.. => Some(256 << (code - 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_info_is_found_in_all_its_wrappings() {
        let mut block = [0; STREAM_INFO_BYTES];
        block[10..14].copy_from_slice(&[0x0A, 0xC4, 0x42, 0xF0]);
        let info = FlacInfo { rate_hz: 44_100, channels: 2, bits: 16 };
        let headed = [&[0x80, 0, 0, 34][..], &block].concat();
        for header in [block.to_vec(), headed.clone(), [b"fLaC", &headed[..]].concat()] {
            assert_eq!(stream_info(&header), Some((&block[..], info)));
        }
        assert_eq!(stream_info(&block[..33]), None);
        assert_eq!(stream_info(&[0; STREAM_INFO_BYTES]), None);
    }

    #[test]
    fn frames_have_their_block_size() {
        for (frame, expected) in [
            (&[0xFF, 0xF8, 0xC9, 0x18, 0x00, 0xC2][..], Some(4_096)),
            (&[0xFF, 0xF8, 0x59, 0x18, 0x00], Some(4_608)),
            (&[0xFF, 0xF8, 0x79, 0x18, 0xC4, 0x80, 0x01, 0x8F], Some(400)),
            (&[0xFF, 0xF8, 0x69, 0x18, 0x05, 0x63], Some(100)),
            (&[0xFF, 0xF8, 0x09, 0x18, 0x00], None),
            (&[0xFF, 0x18, 0xC9, 0x18, 0x00], None),
            (&[0xFF], None),
        ] {
            assert_eq!(frame_samples(frame), expected, "{frame:?}");
        }
    }
}
