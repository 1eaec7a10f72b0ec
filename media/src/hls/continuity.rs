//! A stream's time without its holes.

/// Frames that are further apart than this have a hole between them, in milliseconds.
const HOLE_MS: i64 = 1_000;

/// A slide show has no holes: they are so many times as long as the step before them.
const HOLE_STEPS: i64 = 3;

/// What is left of a hole: about a frame's duration.
const LEFT_MS: i64 = 40;

/// Takes the time out of a stream in which nothing was sent at all, as when an encoder stood still.
///
/// A segment lasts as long as its frames are apart, and a target duration cannot be taken back. With the hole in it, one
/// segment would make every later viewer wait; and viewers have seen the hole already, as nothing came.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    latest_ms: Option<i64>,
    step_ms: Option<i64>,
    removed_ms: i64,
}

impl Continuity {
    /// Places the next frame of the stream; behind the latest one, nothing is taken out.
    pub(super) fn place(&mut self, time_ms: i64) -> i64 {
        let step_ms = self.latest_ms.map(|latest_ms| time_ms.saturating_sub(latest_ms));
        if let Some(step_ms) = step_ms.filter(|step_ms| *step_ms > 0) {
            if self.step_ms.is_some_and(|usual_ms| is_hole(step_ms, usual_ms)) {
                self.removed_ms = self.removed_ms.saturating_add(step_ms - LEFT_MS);
            } else {
                self.step_ms = Some(step_ms);
            }
        }
        self.latest_ms = self.latest_ms.max(Some(time_ms));
        time_ms.saturating_sub(self.removed_ms)
    }

    /// The stream's own time of what was [placed](Self::place) last, or near it.
    pub(super) fn original_ms(&self, placed_ms: i64) -> i64 {
        placed_ms.saturating_add(self.removed_ms)
    }

    /// Whether a frame would be placed where the stream is anything but going on.
    pub(super) fn latest_ms(&self) -> Option<i64> {
        self.latest_ms
    }
}

fn is_hole(step_ms: i64, usual_ms: i64) -> bool {
    step_ms > HOLE_MS && step_ms / HOLE_STEPS > usual_ms
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
        assert_eq!(placed([0, 40, 3_040, 6_040]), [0, 40, 80, 120]);
    }

    #[test]
    fn a_slide_show_keeps_its_times() {
        let times_ms: Vec<_> = (0..10).map(|at| at * 5_000).collect();
        assert_eq!(placed(times_ms.clone()), times_ms);
    }

    #[test]
    fn what_comes_late_stays_behind() {
        assert_eq!(placed([0, 40, 8_040, 8_030, 8_080]), [0, 40, 80, 70, 120]);
    }

    #[test]
    fn the_stream_s_own_time_can_be_told() {
        let mut continuity = Continuity::default();
        let placed = [0, 40, 9_000].map(|time_ms| continuity.place(time_ms));
        let placed_ms = placed[2];
        assert_eq!(continuity.original_ms(placed_ms), 9_000);
    }

    #[test]
    fn extreme_times_are_placed_somewhere() {
        placed([0, 1, i64::MAX, i64::MIN, i64::MAX, -1]);
    }
}
