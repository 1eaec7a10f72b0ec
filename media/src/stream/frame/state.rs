//! The state of a frame that waits.

use serde::{Deserialize, Serialize};

use super::{Frame, Track};
use crate::upgrade::{BlobId, Blobs, StateError};

/// The state of a [`Frame`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrameState {
    track: Track,
    timestamp_ms: u32,
    payload: BlobId,
}

impl Frame {
    /// Gives its state. The payload goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> FrameState {
        FrameState { track: self.track, timestamp_ms: self.timestamp_ms, payload: blobs.put(&self.payload) }
    }

    /// Restores it.
    pub fn restore(state: FrameState, blobs: &Blobs) -> Result<Self, StateError> {
        let FrameState { track, timestamp_ms, payload } = state;
        Ok(Self { track, timestamp_ms, payload: blobs.get(payload)? })
    }
}
