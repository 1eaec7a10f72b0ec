//! A finished segment, and why a frame is in none.

use bytes::Bytes;
use thiserror::Error;

use super::container::{ContainerError, Unsupported};
use crate::flv::{audio::AudioError, video::VideoError};

/// A segment that may reach this size, or whose frames keep so much in memory, is cut wherever it is. The frame that crosses
/// it still belongs to it.
pub const SEGMENT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// A finished segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The container's bytes.
    pub bytes: Bytes,
    /// From its first frame to that of the next segment; for the last one before a discontinuity or the end, to the end
    /// of its own last frame. Those of consecutive segments add up without drifting.
    pub duration_ms: u64,
    /// The decoding time of its first frame, on the stream's timeline.
    pub first_ms: i64,
    /// It does not continue the segment before it: other headers, other tracks, another publisher, or a leap in time.
    pub discontinuity: bool,
    /// It was ended by its age ([`gop_max_ms`](super::segmenter::SegmenterConfig::gop_max_ms)) or its size
    /// ([`SEGMENT_MAX_BYTES`]), with no keyframe to follow: worth a warning.
    pub forced_cut: bool,
    /// It can be decoded without the one before it. False only after a forced cut.
    pub independent: bool,
}

/// Why a frame was left out. The stream goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SegmentError {
    /// Nothing of the stream can be in segments, unless other sequence headers come.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The container does not take it; for [`ContainerError::UnsupportedCodec`] it never will.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The tag's header cannot be read.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// The tag's header cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
}
