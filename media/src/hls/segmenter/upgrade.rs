//! The state of a segmenter, for the process that goes on with it after an upgrade.
//!
//! All that decides about later bytes is carried, and not the frames since the open segment's beginning to be cut once more: the
//! order of two tracks, pauses and the counters of the container are from before that, so that a replay would need nearly all of
//! this as well, and a copy of it at the beginning of each segment.

use serde::{Deserialize, Serialize};

use super::{
    Segmenter,
    arrival::Arrival,
    cutter::{COUNT_MAX, Cutter, CutterState},
};
use crate::{
    hls::{
        buffer_pool::BufferPool, container::Container, interleaver::Interleaver,
        restored_frames::RestoredFrames,
    },
    upgrade::{Blobs, StateError},
};

/// A segmenter as plain data; `S` is its container's.
#[derive(Debug, Serialize, Deserialize)]
pub struct SegmenterState<S> {
    /// With all frames that wait or are in the open segment.
    pub(super) container: S,
    interleaver: Interleaver<ArrivalState>,
    cutter: CutterState,
    refused_frames: u64,
}

/// The facts about a frame that waits for its turn, without its bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct ArrivalState {
    keyframe: bool,
    begins_config: bool,
}

impl<C: Container> Segmenter<C> {
    /// The segmenter as plain data, with its settings: the rest of a session is cut as its beginning was. Take all outputs
    /// before; those that were not taken are not in it.
    pub fn state(&self, blobs: &mut Blobs) -> SegmenterState<C::State> {
        let mut frames = Vec::new();
        let interleaver = self.interleaver.map(|arrival| {
            frames.push(&arrival.frame);
            ArrivalState { keyframe: arrival.keyframe, begins_config: arrival.begins_config }
        });
        let cutter = self.cutter.state(&mut frames, blobs);
        SegmenterState {
            container: self.cutter.container.state(&frames, blobs),
            interleaver,
            cutter,
            refused_frames: self.refused_frames,
        }
    }

    /// The segmenter that gave the state: what it cuts is the same to the byte.
    pub fn restore(
        state: SegmenterState<C::State>,
        buffers: BufferPool,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let SegmenterState { container, interleaver, cutter, refused_frames } = state;
        StateError::unless(refused_frames <= COUNT_MAX, "a segmenter", "no stream has so many frames")?;
        let (container, frames) = C::restore(container, blobs)?;
        let mut frames = RestoredFrames::new(frames);
        interleaver.check()?;
        let interleaver = interleaver.try_map(|state| {
            let ArrivalState { keyframe, begins_config } = *state;
            frames.next().map(|frame| Arrival { frame, keyframe, begins_config })
        })?;
        let cutter = Cutter::restore(cutter, container, buffers, &mut frames, blobs)?;
        frames.finish()?;
        Ok(Self { interleaver, cutter, refused_frames })
    }
}
