//! The rhythm of an encoder's keyframes, and the moment at which to let the encoder go.
//!
//! An encoder that reconnects is shown from its next keyframe on. If it is back just before that one, viewers wait for
//! little more than it takes to reconnect; if it is back just after, they wait for a whole GOP more.

mod state;

use serde::{Deserialize, Serialize};
pub use state::KeyframeRhythmState;

/// Intervals that the mean is taken of: enough to even out arrival times, few enough to follow an encoder that changes.
const INTERVALS: usize = 4;

/// Steps outside of these are a jump of the clock or a pause, in milliseconds, and no interval.
const INTERVAL_MIN_MS: i64 = 40;
const INTERVAL_MAX_MS: i64 = 60_000;

/// A moment that has passed by so many milliseconds is still the right one: timers are late by a little.
const LATE_MAX_MS: i64 = 40;

/// Audio comes up to so much earlier or later among the video, in milliseconds.
const SHUFFLE_MAX_MS: i64 = 30;

/// The most keyframes that are looked ahead to.
const KEYFRAMES_AHEAD_MAX: i64 = 8;

/// The arrival of an encoder's keyframes. Times of arrival are any steady clock, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyframeRhythm {
    last: Option<Keyframe>,
    intervals_ms: [i64; INTERVALS],
    count: usize,
    /// By how much the last keyframes came behind their own times, the newest first. The least of it is the way itself: the
    /// rest is what a keyframe waited for the network, or for this machine, and the next one does not wait for that.
    delays_ms: [i64; INTERVALS],
    delays: usize,
    /// Messages that came from the encoder.
    messages: i64,
    /// Messages of the last interval.
    interval_messages: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Keyframe {
    time_ms: i64,
    /// Messages up to and with it.
    messages: i64,
}

impl KeyframeRhythm {
    /// Returns whether the keyframe at this media time is another one than the last that was noted.
    pub fn is_new(&self, time_ms: i64) -> bool {
        self.last.is_none_or(|last| last.time_ms != time_ms)
    }

    /// Notes that so many messages came, keyframes or not.
    pub fn note_messages(&mut self, count: usize) {
        self.messages = self.messages.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Notes a keyframe, the last of the messages that were noted.
    pub fn note(&mut self, time_ms: i64, arrived_ms: i64) {
        if let Some(last) = self.last {
            let interval_ms = time_ms - last.time_ms;
            if (INTERVAL_MIN_MS..=INTERVAL_MAX_MS).contains(&interval_ms) {
                self.intervals_ms.rotate_right(1);
                self.intervals_ms[0] = interval_ms;
                self.count = (self.count + 1).min(INTERVALS);
                self.interval_messages = self.messages - last.messages;
            } else {
                self.delays = 0;
            }
        }
        self.delays_ms.rotate_right(1);
        self.delays_ms[0] = arrived_ms - time_ms;
        self.delays = (self.delays + 1).min(INTERVALS);
        self.last = Some(Keyframe { time_ms, messages: self.messages });
    }

    /// Returns how long to wait until something that takes `lead_ms` ends just before a keyframe; `None` if the rhythm is
    /// not known.
    pub fn wait_ms(&self, lead_ms: i64, now_ms: i64) -> Option<i64> {
        let (last_ms, interval_ms) = (self.last_due_ms()?, self.interval_ms()?);
        let first_ms = last_ms + interval_ms - lead_ms;
        let behind_ms = now_ms - LATE_MAX_MS - first_ms;
        let skipped = if behind_ms > 0 { (behind_ms + interval_ms - 1) / interval_ms } else { 0 };
        Some((first_ms + skipped * interval_ms - now_ms).max(0))
    }

    /// Returns how long to wait until `lead_ms` before the last look of an encoder that ends before a keyframe, or with it,
    /// if the encoder looks for its connection's end after each `looks_each` of its messages; `None` if the rhythm is not known.
    pub fn wait_for_look_ms(&self, looks_each: u32, lead_ms: i64, now_ms: i64) -> Option<i64> {
        let (last, last_ms, interval_ms) = (self.last?, self.last_due_ms()?, self.interval_ms()?);
        let messages = self.interval_messages.max(1);
        let shuffled = SHUFFLE_MAX_MS * messages / interval_ms;
        let mut waits = (1..=KEYFRAMES_AHEAD_MAX).map(|keyframe| {
            let number = last.messages + keyframe * messages;
            let since_look = (number - shuffled).rem_euclid(i64::from(looks_each.max(1))) + shuffled;
            let look_ms = last_ms + keyframe * interval_ms - since_look * interval_ms / messages;
            look_ms - lead_ms - now_ms
        });
        waits.find(|wait_ms| *wait_ms >= -LATE_MAX_MS).map(|wait_ms| wait_ms.max(0))
    }

    /// The time at which the last keyframe would have come if nothing had held it up.
    fn last_due_ms(&self) -> Option<i64> {
        let delay_ms = self.delays_ms.get(..self.delays)?.iter().min()?;
        Some(self.last?.time_ms + delay_ms)
    }

    fn interval_ms(&self) -> Option<i64> {
        let known = self.intervals_ms.get(..self.count)?;
        let count = i64::try_from(known.len()).ok().filter(|count| *count > 0)?;
        Some(known.iter().sum::<i64>() / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keyframes at these media times, each of which arrives 10,000 ms later by the other clock.
    fn rhythm(times_ms: &[i64]) -> KeyframeRhythm {
        let mut rhythm = KeyframeRhythm::default();
        for time_ms in times_ms {
            assert!(rhythm.is_new(*time_ms));
            rhythm.note(*time_ms, 10_000 + time_ms);
            assert!(!rhythm.is_new(*time_ms));
        }
        rhythm
    }

    #[test]
    fn the_wait_ends_so_long_before_a_keyframe_as_is_needed() {
        let rhythm = rhythm(&[0, 1000, 2000]);
        assert_eq!(rhythm.wait_ms(150, 12_100), Some(750));
        assert_eq!(rhythm.wait_ms(150, 12_850), Some(0));
        assert_eq!(rhythm.wait_ms(150, 12_880), Some(0), "a timer that is late");
        assert_eq!(rhythm.wait_ms(150, 12_900), Some(950), "the keyframe after that one");
        assert_eq!(rhythm.wait_ms(2_100, 12_100), Some(800), "a lead of several intervals");
    }

    /// A keyframe each second, in each of which so many messages come, behind so many headers.
    fn rhythm_of_messages(headers: usize, in_a_second: usize) -> KeyframeRhythm {
        let mut rhythm = KeyframeRhythm::default();
        rhythm.note_messages(headers + 1);
        rhythm.note(0, 10_000);
        for second in 1..=3 {
            rhythm.note_messages(in_a_second);
            rhythm.note(second * 1000, 10_000 + second * 1000);
        }
        rhythm
    }

    #[test]
    fn the_wait_ends_before_an_encoders_last_look_before_a_keyframe() {
        // The keyframes' numbers are 3, 28, 53, 78 and 103: the look is three messages of 40 ms before.
        let video = rhythm_of_messages(2, 25);
        assert_eq!(video.wait_for_look_ms(10, 50, 13_100), Some(730));
        assert_eq!(video.wait_for_look_ms(10, 50, 13_860), Some(0), "a timer that is late");
        assert_eq!(
            video.wait_for_look_ms(10, 50, 13_900),
            Some(730),
            "the keyframe after that one, the 128th"
        );
        // 5, 105, 205, 305, 405: audio may come 3 messages earlier or later, and the look is 5 before.
        assert_eq!(rhythm_of_messages(4, 100).wait_for_look_ms(10, 50, 13_100), Some(800));
        // 1, 101, 201, 301, 401: the look that is one message before may come after it.
        assert_eq!(rhythm_of_messages(0, 100).wait_for_look_ms(10, 50, 13_100), Some(740));
        assert_eq!(KeyframeRhythm::default().wait_for_look_ms(10, 50, 0), None);
    }

    #[test]
    fn a_keyframe_that_was_held_up_changes_nothing() {
        let mut rhythm = rhythm(&[0, 1000, 2000]);
        rhythm.note(3000, 13_090);
        assert_eq!(rhythm.wait_ms(150, 13_100), Some(750));
        // The way takes longer from here on.
        for time_ms in [4000, 5000, 6000] {
            rhythm.note(time_ms, 10_090 + time_ms);
        }
        assert_eq!(rhythm.wait_ms(150, 16_100), Some(840));
    }

    #[test]
    fn an_encoder_without_a_rhythm_is_not_waited_for() {
        assert_eq!(KeyframeRhythm::default().wait_ms(150, 0), None);
        assert_eq!(rhythm(&[0]).wait_ms(150, 10_100), None);
        assert_eq!(rhythm(&[0, 70_000]).wait_ms(150, 80_100), None, "a jump");
    }

    #[test]
    fn the_newest_intervals_count() {
        let changed = rhythm(&[0, 4000, 8000, 9000, 10_000, 11_000, 12_000]);
        assert_eq!(changed.wait_ms(0, 22_000), Some(1000));
        assert_eq!(rhythm(&[0, 900, 2000]).wait_ms(0, 12_000), Some(1000), "their mean");
    }
}
