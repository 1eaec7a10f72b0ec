//! The layout of a video track's NAL units, and the parameter sets that its decoder needs first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most that the parameter sets of one record may weigh, in bytes. They are repeated before every keyframe.
pub const PARAMETER_SETS_MAX_BYTES: usize = 64 * 1024;

/// Whose NAL unit header is at the front of each unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NalSyntax {
    /// ISO/IEC 14496-10, section 7.3.1: one byte, of which the low five bits are the type.
    H264,
    /// ISO/IEC 23008-2, section 7.3.1.2: two bytes, of which bits 1 to 6 of the first are the type.
    H265,
}

impl NalSyntax {
    /// The type of a NAL unit, 0 to 63; `None` if it is empty.
    pub fn type_of(self, nal: &[u8]) -> Option<u8> {
        let first = *nal.first()?;
        Some(match self {
            NalSyntax::H264 => first & 0x1F,
            NalSyntax::H265 => (first >> 1) & 0x3F,
        })
    }

    /// The types of those that describe a whole sequence of frames, size and profile among it.
    pub const fn sequence_set_types(self) -> &'static [u8] {
        match self {
            NalSyntax::H264 => &[7],
            NalSyntax::H265 => &[32, 33],
        }
    }

    /// The types of slices, of which a frame has at least one, as a set of bits.
    pub const fn slice_types(self) -> u64 {
        match self {
            NalSyntax::H264 => 0b11_1110,
            NalSyntax::H265 => 0xFFFF_FFFF,
        }
    }

    /// The types of slices at which a decoder begins anew, whatever it had before, as a set of bits.
    pub const fn refresh_types(self) -> u64 {
        match self {
            NalSyntax::H264 => 1 << 5,
            NalSyntax::H265 => 0b1_1111 << 16,
        }
    }

    /// An access unit delimiter that allows any kind of slice.
    pub const fn delimiter(self) -> &'static [u8] {
        match self {
            NalSyntax::H264 => &[0x09, 0xF0],
            NalSyntax::H265 => &[0x46, 0x01, 0x50],
        }
    }

    /// The type of access unit delimiters.
    pub const fn delimiter_type(self) -> u8 {
        match self {
            NalSyntax::H264 => 9,
            NalSyntax::H265 => 35,
        }
    }

    /// The types of the parameter sets without which nothing can be decoded.
    pub const fn parameter_set_types(self) -> &'static [u8] {
        match self {
            NalSyntax::H264 => &[7, 8],
            NalSyntax::H265 => &[32, 33, 34],
        }
    }
}

/// A decoder configuration record, as far as the access units after it need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NalConfig {
    /// Whose units they are.
    pub syntax: NalSyntax,
    /// Bytes of the length before each unit: 1, 2 or 4.
    pub length_bytes: usize,
    /// The record's parameter sets, in the order in which a decoder wants them.
    pub parameter_sets: Vec<Box<[u8]>>,
}

/// A track's configuration as it is at the moment: the sequence header's, until parameter sets come in band.
#[derive(Debug)]
pub struct ActiveConfig {
    config: Arc<NalConfig>,
    has_changed: bool,
}

/// The reason an access unit cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum AccessUnitError {
    /// A NAL unit's length goes beyond the access unit.
    #[error("a NAL unit is longer than its access unit")]
    Length,
}

/// The reason a decoder configuration record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum NalConfigError {
    /// The record ends before what it announces.
    #[error("the decoder configuration record is cut short")]
    Truncated,
    /// A version of the record that is not 1.
    #[error("the decoder configuration record has version {0}, not 1")]
    Version(u8),
    /// A length of 3 bytes, which ISO/IEC 14496-15 forbids.
    #[error("the decoder configuration record has NAL lengths of 3 bytes")]
    LengthSize,
    /// More than [`PARAMETER_SETS_MAX_BYTES`].
    #[error("the parameter sets are larger than {PARAMETER_SETS_MAX_BYTES} bytes")]
    TooLarge,
}

impl ActiveConfig {
    /// A configuration that a sequence header brought.
    pub fn new(config: NalConfig) -> Self {
        Self { config: Arc::new(config), has_changed: false }
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<NalConfig> {
        &self.config
    }

    /// Takes the parameter sets of an access unit, if they describe another sequence. One that cannot be read to its
    /// end has none.
    pub fn update(&mut self, access_unit: &[u8]) -> Result<(), NalConfigError> {
        let config = &*self.config;
        let is_sequence_set = |nal: &[u8]| config.has_type(nal, config.syntax.sequence_set_types());
        let nals = || units(config.length_bytes, access_unit).flatten();
        if !nals().any(|nal| is_sequence_set(nal) && !config.contains(nal)) {
            return Ok(());
        }
        let had_sequence_set = config.parameter_sets.iter().any(|set| is_sequence_set(set));
        let config = config.with_sets(nals())?;
        self.has_changed |= had_sequence_set;
        self.config = Arc::new(config);
        Ok(())
    }

    /// Returns whether the sequence has changed since [`take_change`](Self::take_change).
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// The configuration as another process had it.
    pub fn restored(config: Arc<NalConfig>, has_changed: bool) -> Self {
        Self { config, has_changed }
    }

    /// Returns `true` once after each change of the sequence.
    pub fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }
}

impl NalConfig {
    /// Returns whether a sequence header could have brought it.
    pub fn is_valid(&self) -> bool {
        let size_bytes: usize = self.parameter_sets.iter().map(|set| set.len()).sum();
        matches!(self.length_bytes, 1 | 2 | 4) && size_bytes <= PARAMETER_SETS_MAX_BYTES
    }

    fn contains(&self, nal: &[u8]) -> bool {
        self.parameter_sets.iter().any(|set| **set == *nal)
    }

    fn has_type(&self, nal: &[u8], types: &[u8]) -> bool {
        self.syntax.type_of(nal).is_some_and(|nal_type| types.contains(&nal_type))
    }

    /// The configuration with the parameter sets among `nals`, and its own of the types that those have none of.
    fn with_sets<'a>(&self, nals: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Self, NalConfigError> {
        let mut sets = ParameterSets::default();
        for nal_type in self.syntax.parameter_set_types() {
            let is_of_type = |nal: &&[u8]| self.syntax.type_of(nal) == Some(*nal_type);
            let mut brought = nals.clone().filter(is_of_type).peekable();
            if brought.peek().is_some() {
                brought.try_for_each(|nal| sets.push(nal))?;
            } else {
                let own = self.parameter_sets.iter().map(|set| &**set);
                own.filter(is_of_type).try_for_each(|nal| sets.push(nal))?;
            }
        }
        Ok(Self { parameter_sets: sets.sets, ..*self })
    }
}

/// The NAL units of a length-prefixed access unit, without the empty ones; ends after an error.
pub(super) fn units(
    length_bytes: usize,
    access_unit: &[u8],
) -> impl Iterator<Item = Result<&[u8], AccessUnitError>> + Clone {
    let mut rest = access_unit;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let Some((nal, behind)) = split_nal(length_bytes, rest) else {
                rest = &[];
                return Some(Err(AccessUnitError::Length));
            };
            rest = behind;
            if !nal.is_empty() {
                return Some(Ok(nal));
            }
        }
        None
    })
}

fn split_nal(length_bytes: usize, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(length_bytes)?;
    let size_bytes = length.iter().fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
    rest.split_at_checked(size_bytes)
}

/// The bytes of each unit's length, from the low two bits of `field`.
pub(super) fn length_bytes(field: u8) -> Result<usize, NalConfigError> {
    match field & 0x03 {
        2 => Err(NalConfigError::LengthSize),
        minus_one => Ok(usize::from(minus_one) + 1),
    }
}

/// Reads a decoder configuration record front to back.
pub(super) struct RecordReader<'a>(pub(super) &'a [u8]);

impl<'a> RecordReader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], NalConfigError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NalConfigError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, NalConfigError> {
        let (byte, rest) = self.0.split_first().ok_or(NalConfigError::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn short(&mut self) -> Result<usize, NalConfigError> {
        Ok(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }

    pub(super) fn sized(&mut self) -> Result<&'a [u8], NalConfigError> {
        let size_bytes = self.short()?;
        self.take(size_bytes)
    }
}

/// Keeps parameter sets within [`PARAMETER_SETS_MAX_BYTES`].
#[derive(Default)]
pub(super) struct ParameterSets {
    pub(super) sets: Vec<Box<[u8]>>,
    size_bytes: usize,
}

impl ParameterSets {
    pub(super) fn push(&mut self, set: &[u8]) -> Result<(), NalConfigError> {
        self.size_bytes += set.len();
        if self.size_bytes > PARAMETER_SETS_MAX_BYTES {
            return Err(NalConfigError::TooLarge);
        }
        if !set.is_empty() {
            self.sets.push(set.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = b"\x67sps";
    const PPS: &[u8] = b"\x68pps";
    const IDR: &[u8] = b"\x65idr";

    fn active(sets: &[&[u8]]) -> ActiveConfig {
        let parameter_sets = sets.iter().map(|set| Box::from(*set)).collect();
        ActiveConfig::new(NalConfig { syntax: NalSyntax::H264, length_bytes: 4, parameter_sets })
    }

    fn access_unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], *nal].concat()).collect()
    }

    /// The result: whether the sequence changed, and the sets after it.
    fn after(sets: &[&[u8]], nals: &[&[u8]]) -> (bool, Vec<Vec<u8>>) {
        let mut active = active(sets);
        active.update(&access_unit(nals)).unwrap();
        let sets = active.config().parameter_sets.iter().map(|set| set.to_vec()).collect();
        (active.take_change(), sets)
    }

    #[test]
    fn sets_that_are_repeated_change_nothing() {
        for nals in [&[SPS, PPS, IDR][..], &[IDR], &[SPS], &[PPS, b"\x68other", IDR]] {
            assert_eq!(after(&[SPS, PPS], nals), (false, vec![SPS.to_vec(), PPS.to_vec()]));
        }
    }

    #[test]
    fn another_sequence_replaces_the_sets_and_is_a_change() {
        let (new_sps, new_pps): (&[u8], &[u8]) = (b"\x67new", b"\x68new");
        assert_eq!(
            after(&[SPS, PPS], &[new_sps, new_pps, IDR]),
            (true, vec![new_sps.into(), new_pps.into()])
        );
        assert_eq!(after(&[SPS, PPS], &[new_sps]), (true, vec![new_sps.into(), PPS.into()]));
    }

    #[test]
    fn the_first_sets_of_a_track_without_any_are_no_change() {
        assert_eq!(after(&[], &[SPS, PPS, IDR]), (false, vec![SPS.into(), PPS.into()]));
    }

    #[test]
    fn a_change_is_reported_once() {
        let mut active = active(&[SPS, PPS]);
        active.update(&access_unit(&[b"\x67new"])).unwrap();
        assert!(active.take_change() && !active.take_change());
        active.update(&access_unit(&[b"\x67new"])).unwrap();
        assert!(!active.take_change());
    }

    #[test]
    fn sets_in_band_are_bounded() {
        let large = [b"\x67".to_vec(), vec![0; PARAMETER_SETS_MAX_BYTES]].concat();
        let mut active = active(&[SPS, PPS]);
        assert_eq!(active.update(&access_unit(&[&large])), Err(NalConfigError::TooLarge));
        assert!(!active.take_change());
    }
}
