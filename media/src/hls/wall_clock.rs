//! The dates of a stream's media, for EXT-X-PROGRAM-DATE-TIME.

use serde::{Deserialize, Serialize};

/// Dates may be so far off before they are corrected, in milliseconds: media does not arrive evenly.
const TOLERANCE_MS: i64 = 500;

/// Media that comes later than its date for so long, in milliseconds, has fallen behind; what was only held up on its way
/// catches up sooner.
const LATE_MS: i64 = 3_000;

/// The wall-clock date of times on a stream's timeline. Times are in milliseconds, dates since 1970.
///
/// The newest media is live when it arrives. Encoders that stand still and go on where they were, that are paused, or that
/// send faster than real time leave the date that the first frame had.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WallClock {
    /// The wall clock minus the timeline.
    offset_ms: Option<i64>,
    watch: Option<Watch>,
    last_date_ms: i64,
}

/// The delay of recent media.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Watch {
    until_ms: i64,
    least_offset_ms: i64,
}

impl WallClock {
    /// Another publisher came, whose media has nothing to do with the clock so far.
    pub fn restart(&mut self) {
        (self.offset_ms, self.watch) = (None, None);
    }

    /// Media arrived at `now_ms`, the newest of which is at `newest_ms` on the timeline.
    pub fn note(&mut self, newest_ms: i64, now_ms: i64) {
        let measured_ms = now_ms.saturating_sub(newest_ms);
        let early_ms = self.offset_ms.map(|offset_ms| offset_ms.saturating_sub(measured_ms));
        // Media that has arrived is not of the future.
        if early_ms.is_none_or(|early_ms| early_ms > TOLERANCE_MS) {
            self.offset_ms = Some(measured_ms);
            self.watch = None;
        }
        let fresh = Watch { until_ms: now_ms.saturating_add(LATE_MS), least_offset_ms: measured_ms };
        let watch = *self.watch.get_or_insert(fresh);
        if now_ms < watch.until_ms {
            let least_offset_ms = watch.least_offset_ms.min(measured_ms);
            self.watch = Some(Watch { least_offset_ms, ..watch });
        } else {
            self.correct_lateness(watch.least_offset_ms);
            self.watch = Some(fresh);
        }
    }

    /// The date of what is at `time_ms` on the timeline. Ask in the order of time: dates do not go back.
    pub fn date_ms(&mut self, time_ms: i64) -> u64 {
        let date_ms = time_ms.saturating_add(self.offset_ms.unwrap_or_default());
        self.last_date_ms = self.last_date_ms.max(date_ms);
        u64::try_from(self.last_date_ms).unwrap_or_default()
    }

    fn correct_lateness(&mut self, least_offset_ms: i64) {
        if self.offset_ms.is_some_and(|offset_ms| least_offset_ms.saturating_sub(offset_ms) > TOLERANCE_MS) {
            self.offset_ms = Some(least_offset_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    /// Returns the distance of the newest media's date to the wall clock, after media at 40 ms steps has come as
    /// `arrival_ms` says.
    fn behind_ms(length_ms: i64, arrival_ms: impl Fn(i64) -> i64) -> i64 {
        let mut clock = WallClock::default();
        (0..length_ms).step_by(40).for_each(|at_ms| clock.note(at_ms, NOW_MS + arrival_ms(at_ms)));
        let newest_ms = length_ms - 40;
        NOW_MS + arrival_ms(newest_ms) - clock.date_ms(newest_ms) as i64
    }

    #[test]
    fn media_in_real_time_keeps_its_date() {
        assert_eq!(behind_ms(60_000, |at_ms| at_ms), 0);
        let jitter = |at_ms: i64| at_ms + at_ms * 7_919 % 400;
        assert!(behind_ms(60_000, jitter).abs() <= TOLERANCE_MS);
    }

    #[test]
    fn a_freeze_after_which_nothing_is_made_up_for_moves_the_dates_on() {
        let freeze = |at_ms: i64| if at_ms < 10_000 { at_ms } else { at_ms + 8_000 };
        assert_eq!(behind_ms(30_000, freeze), 0);
    }

    #[test]
    fn media_that_was_only_held_up_keeps_its_date() {
        let held_up =
            |at_ms: i64| if (10_000..18_000).contains(&at_ms) { 18_000 + at_ms / 100 } else { at_ms };
        assert_eq!(behind_ms(19_000, held_up), 0);
    }

    #[test]
    fn media_faster_than_real_time_is_not_of_the_future() {
        assert!(behind_ms(120_000, |at_ms| at_ms / 2).abs() <= TOLERANCE_MS);
        assert!(behind_ms(2_400_000, |at_ms| at_ms / 3_000).abs() <= TOLERANCE_MS);
    }

    #[test]
    fn dates_do_not_go_back() {
        let mut clock = WallClock::default();
        clock.note(0, NOW_MS);
        let first = clock.date_ms(0);
        clock.note(60_000, NOW_MS + 20);
        assert_eq!(clock.date_ms(2_000), first);
        clock.restart();
        clock.note(60_033, NOW_MS - 5_000);
        assert_eq!(clock.date_ms(60_033), first);
    }

    #[test]
    fn extreme_times_have_some_date() {
        let mut clock = WallClock::default();
        for (newest_ms, now_ms) in
            [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX), (i64::MAX, i64::MAX)]
        {
            clock.note(newest_ms, now_ms);
            clock.date_ms(newest_ms);
        }
    }
}
