//! The body of an AV1 sequence header: AV1CodecConfigurationRecord ("AV1 Codec ISO Media File Format Binding", section 2.3).

use super::bits::BitReader;

const SEQUENCE_HEADER_OBU: u8 = 1;

/// The record's description of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Av1Record {
    /// seq_profile.
    pub profile: u8,
    /// seq_level_idx of the first operating point.
    pub level: u8,
    /// The high tier.
    pub is_high_tier: bool,
    /// 8, 10 or 12.
    pub bit_depth: u8,
}

impl Av1Record {
    /// Reads the four bytes at its front; `None` if there are fewer, or their marker or version is another one.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let [0x81, second, third, _, ..] = *record else { return None };
        let (has_high_depth, is_twelve) = (third & 0x40 != 0, third & 0x20 != 0);
        Some(Self {
            profile: second >> 5,
            level: second & 0x1F,
            is_high_tier: third & 0x80 != 0,
            bit_depth: if !has_high_depth {
                8
            } else if is_twelve {
                12
            } else {
                10
            },
        })
    }
}

/// Width and height that the sequence header OBU in a record names, if there is one.
pub(super) fn frame_size(record: &[u8]) -> Option<(u32, u32)> {
    let sequence = obus(record.get(4..)?).find(|obu| obu.kind == SEQUENCE_HEADER_OBU)?;
    sequence_size(sequence.payload)
}

/// An open bitstream unit (AV1, section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// obu_type.
    pub kind: u8,
    /// The unit without its header.
    pub payload: &'a [u8],
    first: u8,
    extension: Option<u8>,
}

const HAS_EXTENSION: u8 = 4;
const HAS_SIZE: u8 = 2;

impl Obu<'_> {
    /// Returns the header without its size field, and how many bytes that is.
    pub fn header_without_size(&self) -> ([u8; 2], usize) {
        let header = [self.first & !HAS_SIZE, self.extension.unwrap_or_default()];
        (header, 1 + usize::from(self.extension.is_some()))
    }
}

/// The units in `bytes`, up to one that is cut short.
pub fn obus(bytes: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (obu, behind) = split_obu(rest)?;
        rest = behind;
        Some(obu)
    })
}

fn split_obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut extension = None;
    if first & HAS_EXTENSION != 0 {
        let (&byte, behind) = rest.split_first()?;
        (extension, rest) = (Some(byte), behind);
    }
    let size = if first & HAS_SIZE != 0 { leb128(&mut rest)? } else { rest.len() };
    let (payload, behind) = rest.split_at_checked(size)?;
    Some((Obu { kind: first >> 3 & 0x0F, payload, first, extension }, behind))
}

fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..4 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// AV1, section 5.5.1.
fn sequence_size(payload: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(payload);
    bits.skip(3 + 1)?;
    if bits.flag()? {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.bits(4)? as usize + 1, bits.bits(4)? as usize + 1);
    Some((bits.bits(width_bits)?.checked_add(1)?, bits.bits(height_bits)?.checked_add(1)?))
}

fn skip_operating_points(bits: &mut BitReader<'_>) -> Option<()> {
    let (mut has_decoder_model, mut delay_bits) = (false, 0);
    if bits.flag()? {
        bits.skip(32 + 32)?;
        if bits.flag()? {
            // uvlc() is ue(v) but for its escape, which no stream has.
            bits.exp_golomb()?;
        }
        has_decoder_model = bits.flag()?;
        if has_decoder_model {
            delay_bits = bits.bits(5)? as usize + 1;
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_initial_delay = bits.flag()?;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        if bits.bits(5)? > 7 {
            bits.skip(1)?;
        }
        if has_decoder_model && bits.flag()? {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_initial_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of libsvtav1, 640x360.
    const RECORD: &[u8] =
        &[0x81, 0x01, 0x0C, 0x00, 0x0A, 0x0A, 0x00, 0x00, 0x00, 0x0A, 0x4F, 0xF6, 0x7C, 0xC2, 0x02, 0x00];

    #[test]
    fn a_record_names_profile_level_and_depth() {
        let record = Av1Record::parse(RECORD).unwrap();
        assert_eq!(record, Av1Record { profile: 0, level: 1, is_high_tier: false, bit_depth: 8 });
        assert_eq!(Av1Record::parse(&[0x81, 0x2D, 0xC0, 0]).unwrap().bit_depth, 10);
        assert_eq!(Av1Record::parse(&RECORD[..3]), None);
        assert_eq!(Av1Record::parse(&[1, 1, 1, 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Av1Record::parse(&record), frame_size(&record));
        }
    }
}
