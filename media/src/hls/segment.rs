//! A finished segment, and why a frame is in none.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::container::{ContainerError, InitSection, Unsupported};
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
    /// The section that a decoder needs first, if the container has any.
    pub init: Option<Arc<InitSection>>,
    /// The parts that it was written in, in their order; one that is all of it if the container, or the configuration, has none.
    pub parts: Vec<SegmentPart>,
}

/// A part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPart {
    /// Its duration. Those of a segment add up to its duration, unless one frame lasted for longer than a part may.
    pub duration_ms: u64,
    /// Its bytes follow those of the part before it.
    pub size_bytes: usize,
    /// A decoder can begin at its first frame.
    pub independent: bool,
}

/// The segment that parts belong to, when the first of them is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHead {
    /// As in [`Segment`].
    pub first_ms: i64,
    /// As in [`Segment`].
    pub discontinuity: bool,
    /// As in [`Segment`].
    pub independent: bool,
    /// As in [`Segment`].
    pub init: Option<Arc<InitSection>>,
}

/// A finished part of a segment that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The container's bytes.
    pub bytes: Bytes,
    /// Its entry in the segment.
    pub part: SegmentPart,
    /// The segment, with its first part.
    pub head: Option<SegmentHead>,
}

/// The output of a segmenter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A part. The last one of a segment comes with the segment.
    Part(Part),
    /// A segment.
    Segment(Segment),
}

/// The reason a frame was left out. The stream goes on without it.
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
