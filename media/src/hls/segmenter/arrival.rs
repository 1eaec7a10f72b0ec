//! Frames between the reader and the cuts.

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Arrival<F> {
    pub(super) frame: F,
    /// Decoding can start at it.
    pub(super) keyframe: bool,
    /// It is the first one behind a new sequence header, or behind parameter sets in its place.
    pub(super) begins_config: bool,
}
