//! The segment that is being filled.
//!
//! It holds frames, not bytes of its container: a stream's media is in memory once, shared with all its other holders,
//! until the segment is written in one go into a buffer of the right size.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    buffer_pool::BufferPool,
    container::{Container, Fragment, Lead, Timed},
    interleaver::Lane,
    segment::{Part, SEGMENT_MAX_BYTES, Segment, SegmentHead, SegmentPart},
};
use crate::flv::TAG_OVERHEAD_BYTES;

mod upgrade;

pub(super) use self::upgrade::OpenSegmentState;

/// The largest GOP that is repeated while video has paused.
const REPEATED_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Video that stops this long before the end of its segment, in milliseconds, is filled up.
const GAP_MAX_MS: i64 = 200;

/// Distance before a segment at which the GOP that begins it is repeated, in milliseconds: a little more than it takes.
const LEAD_IN_MS: i64 = 12;

/// Distance before the end of a segment at which a GOP is repeated to fill it, in milliseconds.
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
    /// The time at which video goes on behind the segment, if that is not the segment's end.
    pub(super) video_after_ms: Option<i64>,
    /// Up to when a part that was written shows the last frame of video.
    held_ms: Option<i64>,
    gop: Option<OpenGop>,
    frames: Vec<Timed<F>>,
    written: WrittenParts,
    /// Maximum size of the frames once they are written.
    size_max_bytes: usize,
    /// Maximum memory that the frames keep: the batches that they are slices of, with all that is not in the segment.
    kept_max_bytes: usize,
}

/// The newest GOP of an open segment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct OpenGop {
    first_index: usize,
    frame_count: usize,
    size_max_bytes: usize,
    last_ms: i64,
}

/// The parts of an open segment that were written. Their frames stay, as a GOP may have to be repeated.
#[derive(Debug, Default)]
struct WrittenParts {
    bytes: Vec<Bytes>,
    parts: Vec<SegmentPart>,
    frame_count: usize,
    /// The beginning of the next one; the segment's own time if there is none.
    end_ms: Option<i64>,
}

/// The end of a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartEnd {
    /// The time of the frame behind it.
    end_ms: i64,
    /// The same, if that is of video.
    next_video_ms: Option<i64>,
    /// Up to when the last frame of video is shown if none is known behind it.
    hold_video_ms: Option<i64>,
    /// Frames at the end that belong to the next part.
    rest_count: usize,
    /// Maximum duration that it declares: one frame may last for longer than a part may.
    duration_max_ms: i64,
}

/// A segment that was finished.
pub(super) struct Finished {
    pub(super) segment: Segment,
    pub(super) left_out: u64,
}

/// A part that was finished.
pub(super) struct FinishedPart {
    pub(super) part: Part,
    pub(super) left_out: u64,
}

impl PartEnd {
    /// In front of a frame that is not in the segment yet.
    pub(super) fn here(lane: Lane, time_ms: i64) -> Self {
        let next_video_ms = (lane == Lane::Video).then_some(time_ms);
        Self { end_ms: time_ms, next_video_ms, hold_video_ms: None, rest_count: 0, duration_max_ms: i64::MAX }
    }

    /// The video behind it, as far as it is known.
    pub(super) fn with_video(self, next_ms: Option<i64>, hold_ms: Option<i64>) -> Self {
        let hold_video_ms = hold_ms.map(|hold_ms| hold_ms.max(self.end_ms));
        Self { next_video_ms: self.next_video_ms.or(next_ms), hold_video_ms, ..self }
    }

    /// A bound for the duration that the part says it has.
    pub(super) fn no_longer_than(self, limit_ms: Option<i64>) -> Self {
        Self { duration_max_ms: limit_ms.unwrap_or(i64::MAX), ..self }
    }
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
            video_after_ms: None,
            held_ms: None,
            gop: None,
            frames: Vec::new(),
            written: WrittenParts::default(),
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
        self.held_ms = None;
        self.hold::<C>(time_ms, frame);
    }

    /// Returns whether its audio has a configuration: that of its first audio frame, or the one expected when a part of it was
    /// written.
    pub(super) fn has_settled_audio<C: Container<Frame = F>>(&self) -> bool {
        let is_audio = |timed: &Timed<F>| C::is_keyframe(&timed.frame).is_none();
        self.written.frame_count > 0 || self.frames.iter().any(is_audio)
    }

    /// Returns whether the newest GOP can be repeated as a whole.
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
    ///
    /// The fill begins where a part that was written says that its last frame ends.
    pub(super) fn fill_to<C: Container<Frame = F>>(&mut self, end_ms: i64) {
        let Some(gop) = self.gop else { return };
        let fill_ms = self.held_ms.unwrap_or(end_ms.saturating_sub(FILL_MS));
        let has_room = end_ms.saturating_sub(fill_ms) >= LEAD_IN_MS;
        if has_room && end_ms.saturating_sub(gop.last_ms) > GAP_MAX_MS {
            let repeated = self.repeated_gop::<C>(fill_ms);
            repeated.into_iter().for_each(|timed| self.hold::<C>(timed.time_ms, timed.frame));
        }
    }

    /// Returns the beginning of the fill of a segment of this length.
    pub(super) fn fill_ms(&self, target_ms: u32) -> i64 {
        self.first_ms.saturating_add(i64::from(target_ms)).saturating_sub(FILL_MS)
    }

    /// Returns the duration of the open part up to a frame of this time; `None` if it has no frame yet.
    pub(super) fn part_age_ms(&self, time_ms: i64) -> Option<i64> {
        (self.frames.len() > self.written.frame_count).then(|| time_ms.saturating_sub(self.part_first_ms()))
    }

    /// The end of the open part in front of its last frame; `None` if it has no other.
    pub(super) fn last_boundary<C: Container<Frame = F>>(&self) -> Option<PartEnd> {
        let (last, before) = self.frames.get(self.written.frame_count..)?.split_last()?;
        let is_later = !before.is_empty() && last.time_ms > self.part_first_ms();
        let next_video_ms = C::is_keyframe(&last.frame).map(|_| last.time_ms);
        let end = PartEnd::here(Lane::Audio, last.time_ms);
        is_later.then_some(PartEnd { next_video_ms, rest_count: 1, ..end })
    }

    /// Writes the open part.
    pub(super) fn end_part<C: Container<Frame = F>>(
        &mut self,
        container: &mut C,
        buffers: &BufferPool,
        end: PartEnd,
        expects_audio: bool,
    ) -> FinishedPart {
        let (first_index, first_ms) = (self.written.frame_count, self.part_first_ms());
        let end_index = self.frames.len().saturating_sub(end.rest_count);
        let frames = self.frames.get(first_index..end_index).unwrap_or_default();
        let begins_segment = first_index == 0;
        let (next_video_ms, hold_video_ms) = (end.next_video_ms, end.hold_video_ms);
        let size_max_bytes = frames.iter().map(|timed| C::size_max_bytes(&timed.frame)).sum::<usize>();
        let mut buffer = buffers.take(C::FRAGMENT_OVERHEAD_BYTES.saturating_add(size_max_bytes));
        let independent = match frames.iter().find_map(|timed| C::is_keyframe(&timed.frame)) {
            _ if begins_segment => self.independent,
            Some(is_keyframe) => is_keyframe,
            None => self.lead == Lead::Audio,
        };
        let has_video = frames.iter().any(|timed| C::is_keyframe(&timed.frame).is_some());
        let lead = self.lead;
        let fragment = Fragment { lead, frames, begins_segment, next_video_ms, hold_video_ms, expects_audio };
        let report = container.write(&mut buffer, &fragment);
        if has_video && next_video_ms.is_none() {
            self.held_ms = hold_video_ms;
        }
        self.discontinuity |= report.has_other_tracks;
        let duration_ms = end.end_ms.saturating_sub(first_ms).min(end.duration_max_ms);
        let duration_ms = u64::try_from(duration_ms).unwrap_or(0);
        let part = SegmentPart { duration_ms, size_bytes: buffer.len(), independent };
        let bytes = buffers.lend(buffer);
        self.written.bytes.push(bytes.clone());
        self.written.parts.push(part);
        self.written.frame_count = end_index;
        self.written.end_ms = Some(end.end_ms);
        let head = begins_segment.then(|| self.head(container));
        FinishedPart { part: Part { bytes, part, head }, left_out: report.left_out }
    }

    /// Writes what is left, and puts the parts together.
    pub(super) fn finish<C: Container<Frame = F>>(
        mut self,
        container: &mut C,
        buffers: &BufferPool,
        end: PartEnd,
        expects_audio: bool,
    ) -> Finished {
        let end_ms = end.end_ms;
        let next_video_ms = (self.lead == Lead::Video).then(|| self.video_after_ms.unwrap_or(end_ms));
        let end = PartEnd { next_video_ms, ..end };
        let has_rest = self.frames.len() > self.written.frame_count || self.written.parts.is_empty();
        let left_out =
            if has_rest { self.end_part(container, buffers, end, expects_audio).left_out } else { 0 };
        let SegmentHead { first_ms, discontinuity, independent, init } = self.head(container);
        let segment = Segment {
            bytes: self.written.joined(buffers),
            duration_ms: u64::try_from(end_ms.saturating_sub(self.first_ms)).unwrap_or(0),
            first_ms,
            discontinuity,
            forced_cut: false,
            independent,
            init,
            parts: self.written.parts,
        };
        Finished { segment, left_out }
    }

    fn head<C: Container<Frame = F>>(&self, container: &C) -> SegmentHead {
        SegmentHead {
            first_ms: self.stream_ms,
            discontinuity: self.discontinuity,
            independent: self.independent,
            init: container.init(),
        }
    }

    fn part_first_ms(&self) -> i64 {
        self.written.end_ms.unwrap_or(self.first_ms)
    }
}

impl WrittenParts {
    /// All bytes. A segment of one part is not copied.
    fn joined(&mut self, buffers: &BufferPool) -> Bytes {
        if self.bytes.len() <= 1 {
            return self.bytes.pop().unwrap_or_default();
        }
        let mut whole = buffers.take(self.bytes.iter().map(Bytes::len).sum());
        self.bytes.drain(..).for_each(|part| whole.extend_from_slice(&part));
        buffers.lend(whole)
    }
}
