//! The open segment, for the process that goes on with it after an upgrade.

use serde::{Deserialize, Serialize};

use super::{OpenGop, OpenSegment, WrittenParts};
use crate::{
    hls::{
        container::{Container, Lead, Timed},
        restored_frames::RestoredFrames,
        segment::{SEGMENT_MAX_BYTES, SegmentPart},
    },
    upgrade::{BlobId, Blobs, StateError},
};

/// An open segment as plain data, without its frames.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hls) struct OpenSegmentState {
    lead: Lead,
    first_ms: i64,
    stream_ms: i64,
    discontinuity: bool,
    independent: bool,
    repeats: bool,
    video_after_ms: Option<i64>,
    held_ms: Option<i64>,
    gop: Option<OpenGop>,
    /// Of each frame.
    times_ms: Vec<i64>,
    written: WrittenPartsState,
    kept_max_bytes: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenPartsState {
    bytes: Vec<BlobId>,
    parts: Vec<SegmentPart>,
    frame_count: usize,
    end_ms: Option<i64>,
}

impl<F> OpenSegment<F> {
    /// The segment as plain data; its frames go to `frames`. Parts that were written are in it as their bytes, as players have
    /// them already.
    pub(in crate::hls) fn state<'a>(
        &'a self,
        frames: &mut Vec<&'a F>,
        blobs: &mut Blobs,
    ) -> OpenSegmentState {
        frames.extend(self.frames.iter().map(|timed| &timed.frame));
        OpenSegmentState {
            lead: self.lead,
            first_ms: self.first_ms,
            stream_ms: self.stream_ms,
            discontinuity: self.discontinuity,
            independent: self.independent,
            repeats: self.repeats,
            video_after_ms: self.video_after_ms,
            held_ms: self.held_ms,
            gop: self.gop,
            times_ms: self.frames.iter().map(|timed| timed.time_ms).collect(),
            written: self.written.state(blobs),
            kept_max_bytes: self.kept_max_bytes,
        }
    }

    /// The segment that gave the state, with the next of `frames`.
    pub(in crate::hls) fn restore<C: Container<Frame = F>>(
        state: OpenSegmentState,
        frames: &mut RestoredFrames<F>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let timed = state.times_ms.into_iter().map(|time_ms| Ok(Timed { time_ms, frame: frames.next()? }));
        let frames: Vec<_> = timed.collect::<Result<_, StateError>>()?;
        let sizes_bytes = frames.iter().map(|timed| C::size_max_bytes(&timed.frame));
        let size_max_bytes = sizes_bytes.fold(0, usize::saturating_add);
        let is_cut = size_max_bytes <= 2 * SEGMENT_MAX_BYTES;
        StateError::unless(is_cut, "an open segment", "it would have been cut before it was so large")?;
        Ok(Self {
            lead: state.lead,
            first_ms: state.first_ms,
            stream_ms: state.stream_ms,
            discontinuity: state.discontinuity,
            independent: state.independent,
            repeats: state.repeats,
            video_after_ms: state.video_after_ms,
            held_ms: state.held_ms,
            gop: state.gop.map(OpenGop::checked).transpose()?,
            size_max_bytes,
            written: WrittenParts::restore(state.written, blobs)?,
            kept_max_bytes: state.kept_max_bytes,
            frames,
        })
    }
}

impl OpenGop {
    /// Its frames are counted without a bound.
    fn checked(self) -> Result<Self, StateError> {
        let is_counted = self.frame_count <= u32::MAX as usize;
        StateError::unless(is_counted, "an open segment", "no GOP has so many frames").map(|()| self)
    }
}

impl WrittenParts {
    fn state(&self, blobs: &mut Blobs) -> WrittenPartsState {
        WrittenPartsState {
            bytes: self.bytes.iter().map(|bytes| blobs.put(bytes)).collect(),
            parts: self.parts.clone(),
            frame_count: self.frame_count,
            end_ms: self.end_ms,
        }
    }

    fn restore(state: WrittenPartsState, blobs: &Blobs) -> Result<Self, StateError> {
        let WrittenPartsState { bytes, parts, frame_count, end_ms } = state;
        let bytes: Vec<_> = bytes.into_iter().map(|id| blobs.get(id)).collect::<Result<_, _>>()?;
        let are_those = bytes.iter().map(|bytes| bytes.len()).eq(parts.iter().map(|part| part.size_bytes));
        StateError::unless(are_those, "an open segment", "its parts have other sizes")?;
        Ok(Self { bytes, parts, frame_count, end_ms })
    }
}
