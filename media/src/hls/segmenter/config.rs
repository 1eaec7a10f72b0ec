//! The settings of a segmenter.

use serde::{Deserialize, Serialize};

/// The times at which to cut, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmenterConfig {
    /// The first keyframe at or after this age of a segment begins the next one; without video, or while it has paused, the
    /// first frame.
    pub target_ms: u32,
    /// The same for the first segment alone, if there is video: a short one lets the first viewers begin early.
    pub first_target_ms: u32,
    /// At this age a segment is cut without a keyframe. Players can begin at keyframes only, so that it is to be longer than
    /// encoders are between two of them.
    pub gop_max_ms: u32,
    /// The longest part of a segment, if segments are written in parts and the container has them. A part ends before the
    /// frame that would make it longer.
    pub part_ms: Option<u32>,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self { target_ms: 2_000, first_target_ms: 2_000, gop_max_ms: 60_000, part_ms: None }
    }
}
