//! The parts that a playlist lists.

use serde::{Deserialize, Serialize};

use crate::hls::segment::SegmentPart;

/// The settings of parts in a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartConfig {
    /// The longest part, in milliseconds.
    pub target_ms: u32,
    /// Distance of players to the end of the playlist, in milliseconds (PART-HOLD-BACK).
    pub hold_back_ms: u32,
}

impl PartConfig {
    /// PART-TARGET is so much longer than parts are meant to be: timestamps are rounded.
    const SLACK_MS: u32 = 4;
    /// Parts of a segment but the last may be this much shorter, in percent of the target
    /// (draft-pantos-hls-rfc8216bis, section 4.4.4.9).
    const LEAST_PERCENT: u64 = 85;

    /// Parts of a length, and a hold-back that is three of them unless it is given.
    pub fn new(target_ms: u32, hold_back_ms: Option<u32>) -> Self {
        let default_ms = target_ms.saturating_add(Self::SLACK_MS).saturating_mul(3);
        Self { target_ms, hold_back_ms: hold_back_ms.unwrap_or(default_ms) }
    }

    /// PART-TARGET, in milliseconds.
    pub fn declared_ms(self) -> u32 {
        self.target_ms.saturating_add(Self::SLACK_MS)
    }

    /// The shortest that a part may be which is not the last of its segment, in milliseconds.
    pub fn least_ms(self) -> u64 {
        (u64::from(self.declared_ms()) * Self::LEAST_PERCENT).div_ceil(100)
    }

    /// Returns whether the frames of a stream make parts that are long enough, by those of a segment.
    pub(super) fn fits(self, parts: &[SegmentPart]) -> bool {
        parts.iter().rev().skip(1).all(|part| part.duration_ms >= self.least_ms())
    }
}
