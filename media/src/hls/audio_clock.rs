//! The times of audio frames, counted in samples.

use serde::{Deserialize, Serialize};

/// Timestamps that are further from the count than this are believed again, in milliseconds.
const DRIFT_MAX_MS: i64 = 50;

/// Times audio frames by what was played before them: timestamps in milliseconds put each of them up to a millisecond off
/// the end of the one before, which some players make audible.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct AudioClock {
    run: Option<AudioTime>,
}

/// The duration of a frame, as a fraction of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSpan {
    /// Samples per channel.
    pub samples: u32,
    /// Samples per second.
    pub rate_hz: u32,
}

/// A moment: so many samples behind a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AudioTime {
    pub(super) from_ms: i64,
    pub(super) samples: u64,
    pub(super) rate_hz: u32,
}

impl AudioClock {
    /// Returns the time at which the next frame plays, whose timestamp is `time_ms`: the end of the one before it if the timestamp is near.
    pub(super) fn place(&mut self, time_ms: i64, span: FrameSpan) -> AudioTime {
        let counted = self.run.filter(|run| run.rate_hz == span.rate_hz && run.is_near(time_ms));
        let time = counted.unwrap_or(AudioTime { from_ms: time_ms, samples: 0, rate_hz: span.rate_hz });
        self.run = Some(time.after(span));
        time
    }

    /// The next frame does not follow the last one.
    pub(super) fn reset(&mut self) {
        self.run = None;
    }
}

impl AudioTime {
    /// Returns whether a run of frames that began with `first` has come to `self`.
    pub(super) fn continues(self, first: Self) -> bool {
        (self.from_ms, self.rate_hz) == (first.from_ms, first.rate_hz) && self.samples > first.samples
    }

    /// The samples' part in units of which a second has so many, rounded down.
    pub(super) fn counted(self, per_second: u32) -> u64 {
        let rate_hz = u64::from(self.rate_hz.max(1));
        let (seconds, rest) = (self.samples / rate_hz, self.samples % rate_hz);
        seconds.saturating_mul(per_second.into()).saturating_add(rest * u64::from(per_second) / rate_hz)
    }

    /// The same in milliseconds, rounded down.
    pub(super) fn time_ms(self) -> i64 {
        self.from_ms.saturating_add(i64::try_from(self.counted(1_000)).unwrap_or(i64::MAX))
    }

    /// The end of a frame that begins then.
    pub(super) fn after(self, span: FrameSpan) -> Self {
        Self { samples: self.samples.saturating_add(span.samples.into()), ..self }
    }

    fn is_near(self, time_ms: i64) -> bool {
        time_ms.saturating_sub(self.time_ms()).saturating_abs() <= DRIFT_MAX_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: FrameSpan = FrameSpan { samples: 1024, rate_hz: 44_100 };

    fn ticks(time: AudioTime) -> i64 {
        time.from_ms * 90 + time.counted(90_000) as i64
    }

    #[test]
    fn frames_follow_each_other_to_the_sample() {
        let mut clock = AudioClock::default();
        for at in 0..10_000_i64 {
            let timestamp_ms = 7 + at * 1_024_000 / 44_100;
            let expected = 7 * 90 + at * 1_024 * 90_000 / 44_100;
            assert_eq!(ticks(clock.place(timestamp_ms, SPAN)), expected);
        }
    }

    #[test]
    fn timestamps_that_jitter_are_smoothed_and_those_that_jump_are_believed() {
        let mut clock = AudioClock::default();
        let mut place = |time_ms| ticks(clock.place(time_ms, SPAN));
        assert_eq!((place(0), place(60), place(40)), (0, 2_089, 4_179));
        assert_eq!((place(500), place(523)), (500 * 90, 500 * 90 + 2_089));
        assert_eq!(place(300), 300 * 90);
    }

    #[test]
    fn another_rate_begins_another_count() {
        let mut clock = AudioClock::default();
        let first = clock.place(0, SPAN);
        let second = clock.place(23, SPAN);
        let other = clock.place(46, FrameSpan { rate_hz: 48_000, ..SPAN });
        assert!(second.continues(first) && !first.continues(second) && !other.continues(first));
        assert_eq!(ticks(other), 46 * 90);
    }

    #[test]
    fn extreme_times_and_rates_are_placed_somewhere() {
        let mut clock = AudioClock::default();
        for (time_ms, rate_hz) in [(i64::MAX, 0), (i64::MIN, 0), (i64::MAX, u32::MAX), (0, u32::MAX)] {
            clock.place(time_ms, FrameSpan { samples: u32::MAX, rate_hz }).counted(90_000);
        }
    }
}
