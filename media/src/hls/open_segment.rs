//! The segment that is being filled.
//!
//! It holds frames, not bytes of its container: a stream's media is in memory once, shared with whoever else has it, until
//! the segment is written in one go into a buffer of the right size.

use bytes::Bytes;

use super::{
    buffer_pool::BufferPool,
    container::{Container, Lead, Timed},
    segment::SEGMENT_MAX_BYTES,
};
use crate::flv::TAG_OVERHEAD_BYTES;

/// Frames in their order, and what the segment will say of itself.
#[derive(Debug)]
pub(super) struct OpenSegment<F> {
    pub(super) lead: Lead,
    pub(super) first_ms: i64,
    /// The same on the stream's timeline.
    pub(super) stream_ms: i64,
    pub(super) discontinuity: bool,
    pub(super) independent: bool,
    frames: Vec<Timed<F>>,
    /// What the frames take once they are written, at most.
    size_max_bytes: usize,
    /// What the frames keep in memory, at most: the batches that they are slices of, with all that is not in the segment.
    kept_max_bytes: usize,
}

/// A segment's bytes, and what was seen while they were written.
pub(super) struct Written {
    pub(super) bytes: Bytes,
    pub(super) has_other_tracks: bool,
}

impl<F> OpenSegment<F> {
    pub(super) fn new(lead: Lead, first_ms: i64, stream_ms: i64) -> Self {
        Self {
            lead,
            first_ms,
            stream_ms,
            discontinuity: false,
            independent: true,
            frames: Vec::new(),
            size_max_bytes: 0,
            kept_max_bytes: 0,
        }
    }

    pub(super) fn age_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.first_ms)
    }

    pub(super) fn is_full(&self) -> bool {
        self.size_max_bytes.max(self.kept_max_bytes) >= SEGMENT_MAX_BYTES
    }

    /// A tag with this body came, whatever becomes of it.
    pub(super) fn note_tag(&mut self, body_bytes: usize) {
        self.kept_max_bytes = self.kept_max_bytes.saturating_add(TAG_OVERHEAD_BYTES + body_bytes);
    }

    pub(super) fn hold<C: Container<Frame = F>>(&mut self, time_ms: i64, frame: F) {
        self.size_max_bytes = self.size_max_bytes.saturating_add(C::size_max_bytes(&frame));
        self.frames.push(Timed { time_ms, frame });
    }

    pub(super) fn write<C: Container<Frame = F>>(&self, container: &mut C, buffers: &BufferPool) -> Written {
        let mut buffer = buffers.take(C::SEGMENT_OVERHEAD_BYTES.saturating_add(self.size_max_bytes));
        let has_other_tracks = container.write_segment(&mut buffer, self.lead, &self.frames);
        Written { bytes: buffers.lend(buffer), has_other_tracks }
    }
}
