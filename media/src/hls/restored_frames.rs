//! Frames of a segmenter that goes on in another process.

use crate::upgrade::StateError;

const SEGMENTER: &str = "a segmenter";

/// The frames of a container's state, in the order in which its owner gave them away.
pub(super) struct RestoredFrames<F>(std::vec::IntoIter<F>);

impl<F> RestoredFrames<F> {
    /// All frames.
    pub(super) fn new(frames: Vec<F>) -> Self {
        Self(frames.into_iter())
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> Result<F, StateError> {
        self.0.next().ok_or(StateError::Invalid { part: SEGMENTER, reason: "it lacks a frame" })
    }

    /// Refuses a state with more frames than places for them.
    pub(super) fn finish(mut self) -> Result<(), StateError> {
        StateError::unless(self.0.next().is_none(), SEGMENTER, "it has a frame too many")
    }
}
