//! The boundaries between parts of the open segment (RFC 8216bis, section 4.4.4.9).

use super::{Cutter, State};
use crate::hls::{
    container::{Container, Lead},
    interleaver::Lane,
    open_segment::PartEnd,
    playlist::PartConfig,
    segment::Output,
    segment_track::Gate,
};

/// A few frames of a part may be a little further apart than they are long.
const PART_TOLERANCE_MS: i64 = 2;

impl<C: Container> Cutter<C> {
    /// Ends the open part if the next frame would make it too long. That frame's own length is foreseen by the one before it
    /// in the leading track. A part that would be too short is not ended on that ground: audio may end it, or the frame is
    /// shorter than the last one was.
    pub(super) fn end_part_before(&mut self, lane: Lane, time_ms: i64) {
        self.end_late_part(lane, time_ms);
        let (Some(limit_ms), State::Open(open)) = (self.part_limit_ms(), &self.state) else { return };
        let frame_ms = match (lane, open.lead) {
            (Lane::Video, Lead::Video) => self.video.frame_ms(),
            (Lane::Audio, Lead::Audio) => self.audio.frame_ms(),
            _ => return,
        };
        let is_over = |age_ms: i64| age_ms >= self.part_least_ms() && age_ms + frame_ms > limit_ms;
        if open.part_age_ms(time_ms).is_some_and(is_over) {
            self.end_part(PartEnd::here(lane, time_ms));
        }
    }

    /// Ends a part that is too long up to `time_ms` in front of its last frame: the leading track stands still, or its frames
    /// are further apart than they were. A part with one frame cannot be shorter.
    pub(super) fn end_late_part(&mut self, lane: Lane, time_ms: i64) {
        let (Some(limit_ms), State::Open(open)) = (self.part_limit_ms(), &self.state) else { return };
        if open.part_age_ms(time_ms).is_some_and(|age_ms| age_ms > limit_ms) {
            self.end_part(open.last_boundary::<C>().unwrap_or(PartEnd::here(lane, time_ms)));
        }
    }

    fn end_part(&mut self, end: PartEnd) {
        let (expects_audio, limit_ms) = (self.expects_audio(), self.part_limit_ms());
        let next_video_ms = self.next_video_ms.filter(|_| self.video.gate == Gate::Open);
        let hold_video_ms = self.hold_video_ms();
        let State::Open(open) = &mut self.state else { return };
        let end = end.no_longer_than(limit_ms).with_video(next_video_ms, hold_video_ms);
        let part = open.end_part(&mut self.container, &self.buffers, end, expects_audio);
        self.dropped_frames += part.left_out;
        self.finished.push_back(Output::Part(part.part));
    }

    /// Up to when video's last frame is shown in the open segment while no other comes: players stand still in front of a hole,
    /// and what is written by then cannot be longer later. If video comes back before that, its frame is shown from its own time.
    fn hold_video_ms(&self) -> Option<i64> {
        let State::Open(open) = &self.state else { return None };
        let is_absent = self.pauses.video_has_paused || self.video.gate == Gate::Keyframe;
        (is_absent && open.lead == Lead::Video).then(|| open.fill_ms(self.config.target_ms))
    }

    pub(super) fn part_limit_ms(&self) -> Option<i64> {
        let part_ms = self.config.part_ms.filter(|_| C::HAS_PARTS)?;
        Some(i64::from(part_ms) + PART_TOLERANCE_MS)
    }

    /// The shortest that a part may be which is not the last of its segment.
    fn part_least_ms(&self) -> i64 {
        let least_ms = self.config.part_ms.map_or(0, |part_ms| PartConfig::new(part_ms, None).least_ms());
        i64::try_from(least_ms).unwrap_or(i64::MAX)
    }
}
