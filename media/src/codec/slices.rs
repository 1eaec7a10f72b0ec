//! Which coded slices the NAL units of an H.264 or H.265 frame hold, read only as far as the first of them.
//!
//! The flag in a video tag's header is the encoder's word. Some encoders send delimiters or supplemental information in
//! tags of their own, with or without that flag, and players take each tag for a frame.

use crate::{codec::nal::NalSyntax, flv::video::VideoCodec};

/// The payload type of a recovery point message (ISO/IEC 14496-10 and 23008-2, section D.1).
const RECOVERY_POINT: usize = 6;

/// The NAL units of one video tag, each behind its length.
#[derive(Debug, Clone, Copy)]
pub struct NalUnits<'a> {
    syntax: NalSyntax,
    length_bytes: usize,
    data: &'a [u8],
}

/// What the first slice says of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slices {
    /// Decoding can start here: an IDR of H.264, any random access point of H.265.
    RandomAccess,
    /// Earlier frames are needed.
    Dependent,
    /// There is none.
    None,
    /// A NAL unit is longer than the tag: the tag's header is all there is to go by.
    Unreadable,
}

/// The syntax of a codec's frames, if they are made of NAL units.
pub const fn syntax_of(codec: VideoCodec) -> Option<NalSyntax> {
    match codec {
        VideoCodec::H264 => Some(NalSyntax::H264),
        VideoCodec::H265 => Some(NalSyntax::H265),
        _ => None,
    }
}

impl<'a> NalUnits<'a> {
    /// The units in `data`, the part of a video tag's body that is the codec's own.
    pub fn new(syntax: NalSyntax, length_bytes: usize, data: &'a [u8]) -> Self {
        Self { syntax, length_bytes, data }
    }

    /// Reads up to the first slice.
    pub fn slices(self) -> Slices {
        for nal in self {
            let Some(nal) = nal else { return Slices::Unreadable };
            if let Some(slices) = slice_of(self.syntax, nal) {
                return slices;
            }
        }
        Slices::None
    }

    /// Whether a recovery point message stands before the first slice: frames after it depend less and less on earlier
    /// ones, until at its end a decoder that started here has what all others have.
    pub fn has_recovery_point(self) -> bool {
        let before_slices = self.into_iter().flatten().take_while(|nal| slice_of(self.syntax, nal).is_none());
        before_slices.filter_map(|nal| messages_of(self.syntax, nal)).any(has_recovery_point)
    }

    /// The parameter sets, with their lengths as they are in the tag.
    pub fn parameter_sets(self) -> Vec<u8> {
        let is_set = |nal: &&[u8]| {
            self.syntax.type_of(nal).is_some_and(|kind| self.syntax.parameter_set_types().contains(&kind))
        };
        let mut sets = Vec::new();
        for nal in self.into_iter().flatten().filter(is_set) {
            let length = (nal.len() as u32).to_be_bytes();
            sets.extend_from_slice(length.get(4 - self.length_bytes.min(4)..).unwrap_or_default());
            sets.extend_from_slice(nal);
        }
        sets
    }
}

impl<'a> IntoIterator for NalUnits<'a> {
    type Item = Option<&'a [u8]>;
    type IntoIter = NalIter<'a>;

    fn into_iter(self) -> NalIter<'a> {
        NalIter { length_bytes: self.length_bytes, rest: self.data }
    }
}

/// Walks NAL units. Gives `None`, and ends, at a length that goes beyond the data.
#[derive(Debug)]
pub struct NalIter<'a> {
    length_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for NalIter<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = self.rest.split_at_checked(self.length_bytes).and_then(|(length, behind)| {
            let size_bytes = length.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
            behind.split_at_checked(size_bytes)
        });
        self.rest = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(nal, _)| nal))
    }
}

/// What a NAL unit says of its frame; `None` for what comes around slices.
fn slice_of(syntax: NalSyntax, nal: &[u8]) -> Option<Slices> {
    match (syntax, syntax.type_of(nal)?) {
        (NalSyntax::H264, 5) | (NalSyntax::H265, 16..=23) => Some(Slices::RandomAccess),
        (NalSyntax::H264, 1..=4) | (NalSyntax::H265, 0..=31) => Some(Slices::Dependent),
        _ => None,
    }
}

/// The messages of a unit of supplemental enhancement information, if it is one that stands before slices.
fn messages_of(syntax: NalSyntax, nal: &[u8]) -> Option<&[u8]> {
    match (syntax, syntax.type_of(nal)?) {
        (NalSyntax::H264, 6) => nal.get(1..),
        (NalSyntax::H265, 39) => nal.get(2..),
        _ => None,
    }
}

/// Walks messages (section 7.3.2.3.1), each of a type, a size and so many bytes.
fn has_recovery_point(messages: &[u8]) -> bool {
    let mut rest = messages;
    while let Some((kind, size_bytes, behind)) = split_message(rest) {
        if kind == RECOVERY_POINT && size_bytes > 0 {
            return true;
        }
        rest = behind;
    }
    false
}

fn split_message(messages: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (kind, rest) = take_sum(messages)?;
    let (size_bytes, rest) = take_sum(rest)?;
    Some((kind, size_bytes, rest.get(size_bytes..).unwrap_or_default()))
}

/// A number as the sum of bytes, of which only the last is below 255.
fn take_sum(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().position(|byte| *byte != 0xFF)?;
    let (sum, rest) = bytes.split_at_checked(last + 1)?;
    Some((sum.iter().map(|byte| usize::from(*byte)).sum(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AUD: &[u8] = &[0x09, 0xF0];
    const SEI_OTHER: &[u8] = &[0x06, 0x05, 0x02, 0xAA, 0xBB, 0x80];
    const SEI_RECOVERY: &[u8] = &[0x06, 0x05, 0x01, 0xAA, 0x06, 0x01, 0xC4, 0x80];
    const SPS: &[u8] = &[0x67, 0x64];
    const IDR: &[u8] = &[0x65, 0x88];
    const SLICE: &[u8] = &[0x41, 0x9A];

    fn joined(length_bytes: usize, nals: &[&[u8]]) -> Vec<u8> {
        let length = |nal: &[u8]| (nal.len() as u32).to_be_bytes()[4 - length_bytes..].to_vec();
        nals.iter().flat_map(|nal| [length(nal), nal.to_vec()].concat()).collect()
    }

    fn h264(nals: &[&[u8]]) -> Slices {
        NalUnits::new(NalSyntax::H264, 4, &joined(4, nals)).slices()
    }

    #[test]
    fn the_first_slice_decides() {
        assert_eq!(h264(&[AUD, SEI_OTHER, SPS, IDR]), Slices::RandomAccess);
        assert_eq!(h264(&[AUD, SLICE]), Slices::Dependent);
        assert_eq!(h264(&[b"", SLICE]), Slices::Dependent);
        let hevc = |first: u8| NalUnits::new(NalSyntax::H265, 2, &joined(2, &[&[first, 1, 9]])).slices();
        assert_eq!(hevc(19 << 1), Slices::RandomAccess, "IDR");
        assert_eq!(hevc(21 << 1), Slices::RandomAccess, "CRA");
        assert_eq!(hevc(1 << 1), Slices::Dependent);
        assert_eq!(hevc(35 << 1), Slices::None, "a delimiter");
    }

    #[test]
    fn what_comes_around_slices_is_no_frame() {
        for nals in [&[AUD][..], &[SEI_OTHER], &[AUD, SPS], &[b""], &[]] {
            assert_eq!(h264(nals), Slices::None, "{nals:?}");
        }
    }

    #[test]
    fn lengths_that_go_beyond_the_tag_are_not_judged() {
        for data in [&b"keyframe"[..], &[0, 0, 0], &[0, 0, 0, 2, 0x09, 0xF0, 0, 0, 0, 9]] {
            assert_eq!(NalUnits::new(NalSyntax::H264, 4, data).slices(), Slices::Unreadable);
        }
    }

    #[test]
    fn recovery_points_are_found_before_the_slice_only() {
        let has = |nals: &[&[u8]]| NalUnits::new(NalSyntax::H264, 4, &joined(4, nals)).has_recovery_point();
        assert!(has(&[AUD, SEI_RECOVERY, SLICE]));
        assert!(!has(&[AUD, SEI_OTHER, SLICE]));
        assert!(!has(&[SLICE, SEI_RECOVERY]));
        let long = [&[0x06, 0x05, 0xFF, 0x01][..], &[0; 256], &[0x06, 0x01, 0x84]].concat();
        assert!(has(&[&long, SLICE]), "behind a message of 256 bytes");
    }

    #[test]
    fn parameter_sets_keep_their_lengths() {
        let data = joined(2, &[AUD, SPS, &[0x68, 0xEB]]);
        let sets = NalUnits::new(NalSyntax::H264, 2, &data).parameter_sets();
        assert_eq!(sets, joined(2, &[SPS, &[0x68, 0xEB]]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(
            data in proptest::collection::vec(any::<u8>(), 0..200), length_bytes in 1_usize..=4,
        ) {
            for syntax in [NalSyntax::H264, NalSyntax::H265] {
                let units = NalUnits::new(syntax, length_bytes, &data);
                let _ = (units.slices(), units.has_recovery_point());
                prop_assert!(units.parameter_sets().len() <= data.len());
            }
        }
    }
}
