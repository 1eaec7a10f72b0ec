//! How a video track's NAL units are laid out, and the parameter sets that its decoder needs first.

use thiserror::Error;

/// The most that the parameter sets of one record may weigh, in bytes. They are repeated before every keyframe.
pub const PARAMETER_SETS_MAX_BYTES: usize = 64 * 1024;

/// Whose NAL unit header is at the front of each unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The types of slices, of which a picture has at least one, as a set of bits.
    pub const fn slice_types(self) -> u64 {
        match self {
            NalSyntax::H264 => 0b11_1110,
            NalSyntax::H265 => 0xFFFF_FFFF,
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

/// What a decoder configuration record says about the access units that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NalConfig {
    /// Whose units they are.
    pub syntax: NalSyntax,
    /// Bytes of the length before each unit: 1, 2 or 4.
    pub length_bytes: usize,
    /// The record's parameter sets, in the order in which a decoder wants them.
    pub parameter_sets: Vec<Box<[u8]>>,
}

/// Why a decoder configuration record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
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
