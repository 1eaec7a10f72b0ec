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

/// The largest GOP that is repeated while video has paused.
const REPEATED_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Video that stops this long before the end of its segment, in milliseconds, is filled up.
const GAP_MAX_MS: i64 = 200;

/// How long before a segment the GOP is repeated with which it begins, in milliseconds: a little more than it takes.
const LEAD_IN_MS: i64 = 12;

/// How long before the end of a segment a GOP is repeated to fill it, in milliseconds.
const FILL_MS: i64 = 2 * LEAD_IN_MS;

/// The most frames of such a GOP: a decoder has to get through them at once.
const REPEATED_FRAMES_MAX: usize = 300;

/// Frames in their order, and what the segment will say of itself.
#[derive(Debug)]
pub(super) struct OpenSegment<F> {
    pub(super) lead: Lead,
    pub(super) first_ms: i64,
    /// The same on the stream's timeline.
    pub(super) stream_ms: i64,
    pub(super) discontinuity: bool,
    pub(super) independent: bool,
    /// It begins with a GOP of the segment before it, and no keyframe has come since.
    pub(super) repeats: bool,
    gop: Option<OpenGop>,
    frames: Vec<Timed<F>>,
    /// What the frames take once they are written, at most.
    size_max_bytes: usize,
    /// What the frames keep in memory, at most: the batches that they are slices of, with all that is not in the segment.
    kept_max_bytes: usize,
}

/// The newest GOP of an open segment.
#[derive(Debug, Clone, Copy)]
struct OpenGop {
    first_index: usize,
    frame_count: usize,
    size_max_bytes: usize,
    last_ms: i64,
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
            repeats: false,
            gop: None,
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

    /// The same for video.
    pub(super) fn hold_video<C: Container<Frame = F>>(&mut self, time_ms: i64, frame: F, keyframe: bool) {
        if keyframe {
            let first_index = self.frames.len();
            self.gop = Some(OpenGop { first_index, frame_count: 0, size_max_bytes: 0, last_ms: time_ms });
        }
        if let Some(gop) = &mut self.gop {
            gop.frame_count += 1;
            gop.size_max_bytes = gop.size_max_bytes.saturating_add(C::size_max_bytes(&frame));
            gop.last_ms = time_ms;
        }
        self.hold::<C>(time_ms, frame);
    }

    /// Whether the newest GOP can be repeated as a whole.
    pub(super) fn is_gop_repeatable(&self) -> bool {
        self.gop.is_some_and(|gop| {
            gop.size_max_bytes <= REPEATED_MAX_BYTES && gop.frame_count <= REPEATED_FRAMES_MAX
        })
    }

    /// The newest GOP once more, for a segment that begins at `next_ms`; empty if a decoder could not begin at it.
    pub(super) fn gop_before<C: Container<Frame = F>>(&self, next_ms: i64) -> Vec<Timed<F>> {
        self.repeated_gop::<C>(next_ms.saturating_sub(LEAD_IN_MS))
    }

    /// If the GOP is too large, its keyframe has to do.
    fn repeated_gop<C: Container<Frame = F>>(&self, time_ms: i64) -> Vec<Timed<F>> {
        let frame_count = if self.is_gop_repeatable() { usize::MAX } else { 1 };
        let gop = self.gop.and_then(|gop| self.frames.get(gop.first_index..)).unwrap_or_default();
        C::repeat_gop(gop.get(..frame_count).unwrap_or(gop), time_ms)
    }

    /// Shows the last frame up to the segment's end, if video stopped well before it: without that, players take what is
    /// missing for data that is still to come.
    pub(super) fn fill_to<C: Container<Frame = F>>(&mut self, end_ms: i64) {
        let Some(gop) = self.gop else { return };
        if end_ms.saturating_sub(gop.last_ms) > GAP_MAX_MS {
            let repeated = self.repeated_gop::<C>(end_ms.saturating_sub(FILL_MS));
            repeated.into_iter().for_each(|timed| self.hold::<C>(timed.time_ms, timed.frame));
        }
    }

    pub(super) fn write<C: Container<Frame = F>>(&self, container: &mut C, buffers: &BufferPool) -> Written {
        let mut buffer = buffers.take(C::SEGMENT_OVERHEAD_BYTES.saturating_add(self.size_max_bytes));
        let has_other_tracks = container.write_segment(&mut buffer, self.lead, &self.frames);
        Written { bytes: buffers.lend(buffer), has_other_tracks }
    }
}
