//! VP9: the record in its sequence header ("VP Codec ISO Media File Format Binding", section 2.2), and the size of a
//! keyframe (VP9 bitstream, section 6.2).

use super::{bits::BitReader, frame_size::FrameSize};

/// The record's description of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Record {
    /// The profile, 0 to 3.
    pub profile: u8,
    /// The level times ten.
    pub level: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
}

impl Vp9Record {
    /// Reads a record behind its four bytes of version and flags; `None` if it is cut short.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let [_, _, _, _, profile, level, depth, _, _, _, _, _, ..] = *record else { return None };
        Some(Self { profile, level, bit_depth: depth >> 4 })
    }
}

/// The size that a keyframe has; `None` for other frames.
pub fn keyframe_size(frame: &[u8]) -> Option<FrameSize> {
    const FRAME_MARKER: u32 = 2;
    const SYNC_CODE: u32 = 0x0049_8342;
    const RGB: u32 = 7;
    let mut bits = BitReader::new(frame);
    if bits.bits(2)? != FRAME_MARKER {
        return None;
    }
    let profile = u32::from(bits.flag()?) | u32::from(bits.flag()?) << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_existing, is_inter) = (bits.flag()?, bits.flag()?);
    bits.skip(2)?;
    if shows_existing || is_inter || bits.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    match (bits.bits(3)?, profile) {
        (RGB, 1 | 3) => bits.skip(1)?,
        (RGB, _) => return None,
        (_, 1 | 3) => bits.skip(4)?,
        _ => bits.skip(1)?,
    }
    FrameSize::new(bits.bits(16)? + 1, bits.bits(16)? + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_names_profile_level_and_depth() {
        let record = [1, 0, 0, 0, 0, 11, 0x82, 2, 2, 2, 0, 0];
        assert_eq!(Vp9Record::parse(&record), Some(Vp9Record { profile: 0, level: 11, bit_depth: 8 }));
        assert_eq!(Vp9Record::parse(&record[..11]), None);
    }

    #[test]
    fn a_keyframe_names_its_size() {
        // marker 10, profile 00, no existing frame, key, shown, resilient 0 | sync | 8-bit: space 010, range 0 | 639, 359
        let frame =
            [0b1000_0010, 0x49, 0x83, 0x42, 0b0100_0000, 0b0010_0111, 0b1111_0000, 0b0001_0110, 0b0111_0000];
        assert_eq!(keyframe_size(&frame), Some(FrameSize { width: 640, height: 360 }));
        assert_eq!(keyframe_size(&[0b1000_0110, 0x49, 0x83, 0x42]), None);
        assert_eq!(keyframe_size(&frame[..8]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(frame in proptest::collection::vec(any::<u8>(), 0..32)) {
            let _ = (keyframe_size(&frame), Vp9Record::parse(&frame));
        }
    }
}
