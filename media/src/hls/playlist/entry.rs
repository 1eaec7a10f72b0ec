//! The facts of a segment that its playlist lists.

use serde::{Deserialize, Serialize};

/// A segment, as far as its playlist is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// One more than that of the segment before it.
    pub sequence: u64,
    /// Its duration.
    pub duration_ms: u64,
    /// It does not continue the segment before it.
    pub discontinuity: bool,
    /// It can be decoded without the segment before it.
    pub independent: bool,
    /// The time at which its first frame was live: milliseconds since 1970, UTC.
    pub program_date_time_ms: u64,
    /// Its size.
    pub size_bytes: usize,
    /// The number of its initialisation section, if it needs one.
    pub init: Option<u64>,
}

/// A segment of which parts are listed, as far as it is known before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInfo {
    /// As in [`SegmentInfo`].
    pub discontinuity: bool,
    /// As in [`SegmentInfo`].
    pub independent: bool,
    /// As in [`SegmentInfo`].
    pub program_date_time_ms: u64,
    /// As in [`SegmentInfo`].
    pub init: Option<u64>,
}
