//! The stamps by which viewers know frames.

/// The header of a frame's tag.
pub const TAG_HEADER_BYTES: usize = 5;
pub const KEYFRAME_NAL: u8 = 0x65;
pub const INTER_NAL: u8 = 0x41;
/// The offset of a frame's number and the time it was sent: they are in its only NAL unit, behind length and type.
pub const STAMP_OFFSET: usize = TAG_HEADER_BYTES + 5;
/// Number and time, eight bytes each.
pub const STAMP_BYTES: usize = 16;

/// A frame's number, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counted from 0, the stream's first frame.
    pub number: u64,
    /// The time at which it was sent, by [`now_us`](crate::clock::now_us).
    pub sent_us: u64,
}

impl Stamp {
    /// The stamp that `bytes` begin with.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let sent_us = rest.first_chunk()?;
        Some(Self { number: u64::from_be_bytes(*number), sent_us: u64::from_be_bytes(*sent_us) })
    }

    /// The stamp of a frame in Annex B: in the first NAL unit that is one, because a stamp may look like the start of
    /// another.
    pub fn find(access_unit: &[u8]) -> Option<Self> {
        let is_frame = |bytes: &[u8]| matches!(bytes, [0, 0, 0, 1, KEYFRAME_NAL | INTER_NAL]);
        let at = access_unit.windows(5).position(is_frame)?;
        Self::read(access_unit.get(at + 5..)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_look_like_another_frame_are_read() {
        // 0x141 is 00 00 01 41 at its end, behind more zeros.
        let stamp = Stamp { number: 0x141, sent_us: 7 };
        let mut unit = vec![0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, INTER_NAL];
        unit.extend_from_slice(&stamp.number.to_be_bytes());
        unit.extend_from_slice(&stamp.sent_us.to_be_bytes());
        assert_eq!(Stamp::find(&unit), Some(stamp));
        assert_eq!(Stamp::find(&unit[..unit.len() - 1]), None);
        assert_eq!(Stamp::find(&unit[..10]), None);
    }
}
