//! The state of the frames that are held.

use serde::{Deserialize, Serialize};

use super::{OPENING_MAX_BYTES, Opening};
use crate::{
    stream::{
        frame::{Frame, FrameState},
        tracks::Tracks,
    },
    upgrade::{Blobs, StateError},
};

/// The state of an [`Opening`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpeningState {
    frames: Vec<FrameState>,
    came: Tracks,
    span_ms: Option<(u32, u32)>,
}

impl Opening {
    /// Gives its state. The media goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> OpeningState {
        let frames = self.frames.iter().map(|frame| frame.state(blobs)).collect();
        OpeningState { frames, came: self.came, span_ms: self.span_ms }
    }

    /// Restores it, unless it holds more than it may.
    pub fn restore(state: OpeningState, blobs: &Blobs) -> Result<Self, StateError> {
        let OpeningState { frames, came, span_ms } = state;
        let frames = frames.into_iter().map(|frame| Frame::restore(frame, blobs));
        let frames = frames.collect::<Result<Vec<_>, _>>()?;
        let size_bytes = frames.iter().map(|frame| size_of::<Frame>() + frame.payload.len()).sum();
        // It is over as soon as it has so much.
        StateError::unless(size_bytes < OPENING_MAX_BYTES, "an opening", "too much is held")?;
        Ok(Self { frames, came, size_bytes, span_ms })
    }
}
