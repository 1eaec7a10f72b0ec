//! A stream's time without its holes.

use serde::{Deserialize, Serialize};

/// Frames that are further apart than this may have a hole between them, in milliseconds.
const HOLE_MS: i64 = 1_000;

/// A stream in which frames are as far apart now and then has no holes: they are so many times as long as other steps.
const HOLE_STEPS: i64 = 3;

/// Time for which a long step counts as usual, in milliseconds.
const MEMORY_MS: i64 = 30_000;

/// The rest of a hole: about a frame's duration.
const LEFT_MS: i64 = 40;

/// Takes the time out of a stream in which nothing was sent at all, as when an encoder stood still.
///
/// A segment lasts as long as its frames are apart, and a target duration is not to change. With the hole in it, one segment
/// would make every later viewer wait; and viewers have seen the hole already, as nothing came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Continuity {
    latest_ms: Option<i64>,
    usual: Option<UsualStep>,
    removed_ms: i64,
}

/// The longest step of late.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct UsualStep {
    step_ms: i64,
    at_ms: i64,
}

impl Continuity {
    /// Places the next frame of the stream. One that comes late is placed behind the latest.
    pub(super) fn place(&mut self, time_ms: i64) -> i64 {
        let step_ms = self.latest_ms.map(|latest_ms| time_ms.saturating_sub(latest_ms));
        if let Some(step_ms) = step_ms.filter(|step_ms| *step_ms > 0) {
            if self.is_hole(step_ms) {
                self.removed_ms = self.removed_ms.saturating_add(step_ms - LEFT_MS);
            }
            self.note_step(UsualStep { step_ms, at_ms: time_ms });
        }
        self.latest_ms = self.latest_ms.max(Some(time_ms));
        time_ms.saturating_sub(self.removed_ms)
    }

    /// The stream's own time of what was [placed](Self::place) last, or near it.
    pub(super) fn original_ms(&self, placed_ms: i64) -> i64 {
        placed_ms.saturating_add(self.removed_ms)
    }

    /// The latest of the stream's own times.
    pub(super) fn latest_ms(&self) -> Option<i64> {
        self.latest_ms
    }

    fn is_hole(&self, step_ms: i64) -> bool {
        step_ms > HOLE_MS && self.usual.is_some_and(|usual| step_ms / HOLE_STEPS > usual.step_ms)
    }

    fn note_step(&mut self, step: UsualStep) {
        let is_longest = |usual: UsualStep| {
            step.step_ms >= usual.step_ms || step.at_ms.saturating_sub(usual.at_ms) > MEMORY_MS
        };
        if self.usual.is_none_or(is_longest) {
            self.usual = Some(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(times_ms: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut continuity = Continuity::default();
        times_ms.into_iter().map(|time_ms| continuity.place(time_ms)).collect()
    }

    #[test]
    fn a_hole_is_taken_out_and_what_follows_keeps_its_pace() {
        assert_eq!(placed([0, 40, 80, 8_080, 8_120, 8_160]), [0, 40, 80, 120, 160, 200]);
        assert_eq!(placed([0, 40, 1_040, 1_080]), [0, 40, 1_040, 1_080]);
    }

    #[test]
    fn a_slide_show_keeps_its_times() {
        let times_ms: Vec<_> = (0..10).map(|at| at * 5_000).collect();
        assert_eq!(placed(times_ms.clone()), times_ms);
        assert_eq!(placed([0, 40, 3_040, 6_040, 6_080, 8_080]), [0, 40, 80, 3_080, 3_120, 5_120]);
    }

    #[test]
    fn holes_that_are_rare_are_taken_out_each_time() {
        let times_ms = (0..100_000).step_by(40).map(|at_ms| at_ms + at_ms / 40_000 * 8_000);
        assert_eq!(placed(times_ms), (0..100_000).step_by(40).collect::<Vec<_>>());
    }

    #[test]
    fn what_comes_late_stays_behind() {
        assert_eq!(placed([0, 40, 8_040, 8_030, 8_080]), [0, 40, 80, 70, 120]);
    }

    #[test]
    fn the_stream_s_own_time_is_kept() {
        let mut continuity = Continuity::default();
        let placed = [0, 40, 9_000].map(|time_ms| continuity.place(time_ms));
        assert_eq!(continuity.original_ms(placed[2]), 9_000);
    }

    #[test]
    fn extreme_times_are_placed_somewhere() {
        placed([0, 1, i64::MAX, i64::MIN, i64::MAX, -1]);
    }
}
