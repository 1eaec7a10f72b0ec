//! The state of an encoder's rhythm.

use serde::{Deserialize, Serialize};

use super::{INTERVAL_MAX_MS, INTERVAL_MIN_MS, INTERVALS, Keyframe, KeyframeRhythm};
use crate::upgrade::{StateError, check_media_time};

const PART: &str = "a keyframe rhythm";

/// The highest count of messages, and the latest time of arrival in milliseconds, that an encoder comes to.
const COUNT_MAX: i64 = 1 << 48;

/// The state of a [`KeyframeRhythm`]. The delays are by the owner's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyframeRhythmState {
    last: Option<Keyframe>,
    intervals_ms: Vec<i64>,
    delays_ms: Vec<i64>,
    messages: i64,
    interval_messages: i64,
}

impl KeyframeRhythm {
    /// Gives its state.
    pub fn state(&self) -> KeyframeRhythmState {
        KeyframeRhythmState {
            last: self.last,
            intervals_ms: self.intervals_ms.iter().take(self.count).copied().collect(),
            delays_ms: self.delays_ms.iter().take(self.delays).copied().collect(),
            messages: self.messages,
            interval_messages: self.interval_messages,
        }
    }

    /// Restores the rhythm for a clock that begins at zero now; the one before was at `clock_ms` when the state was given. Refuses
    /// intervals that are none.
    pub fn restore(state: KeyframeRhythmState, clock_ms: i64) -> Result<Self, StateError> {
        let KeyframeRhythmState { last, intervals_ms, mut delays_ms, messages, interval_messages } = state;
        let is_bounded = intervals_ms.len() <= INTERVALS && delays_ms.len() <= INTERVALS;
        StateError::unless(is_bounded, PART, "it remembers too much")?;
        let are_intervals = intervals_ms.iter().all(|ms| (INTERVAL_MIN_MS..=INTERVAL_MAX_MS).contains(ms));
        StateError::unless(are_intervals, PART, "an interval is none")?;
        check_media_time(last.map_or(0, |last| last.time_ms), PART)?;
        let of_last = last.map_or(0, |last| last.messages);
        let mut counts = delays_ms.iter().copied().chain([clock_ms, messages, interval_messages, of_last]);
        let are_counts = counts.all(|count| (-COUNT_MAX..=COUNT_MAX).contains(&count));
        StateError::unless(are_counts, PART, "a count is too high")?;
        delays_ms.iter_mut().for_each(|delay_ms| *delay_ms -= clock_ms);
        Ok(Self {
            last,
            count: intervals_ms.len(),
            intervals_ms: padded(&intervals_ms),
            delays: delays_ms.len(),
            delays_ms: padded(&delays_ms),
            messages,
            interval_messages,
        })
    }
}

/// The first of a rhythm's values, as it keeps them.
fn padded(known: &[i64]) -> [i64; INTERVALS] {
    let mut values = [0; INTERVALS];
    values.iter_mut().zip(known).for_each(|(value, known)| *value = *known);
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upgrade::{Blobs, testing::read_again};

    proptest! {
        #[test]
        fn a_restored_rhythm_goes_on_as_the_one_before(
            steps in prop::collection::vec((1_usize..50, 0_i64..9_000), 1..30),
            cut: prop::sample::Index,
        ) {
            let cut = cut.index(steps.len());
            let (mut kept, mut moved) = (KeyframeRhythm::default(), KeyframeRhythm::default());
            // The times by the clock of each: that of the second one begins anew.
            let (mut time_ms, mut kept_ms, mut moved_ms) = (0, 10_000, 10_000);
            for (at, (messages, interval_ms)) in steps.into_iter().enumerate() {
                time_ms += interval_ms;
                for (rhythm, clock_ms) in [(&mut kept, &mut kept_ms), (&mut moved, &mut moved_ms)] {
                    *clock_ms += interval_ms;
                    rhythm.note_messages(messages);
                    rhythm.note(time_ms, *clock_ms);
                }
                if at == cut {
                    let (state, _) = read_again(&moved.state(), &Blobs::default());
                    moved = KeyframeRhythm::restore(state, moved_ms).unwrap();
                    moved_ms = 0;
                }
                let wait_ms = |rhythm: &KeyframeRhythm, now_ms: i64| {
                    (rhythm.wait_ms(150, now_ms + 100), rhythm.wait_for_look_ms(10, 50, now_ms + 100))
                };
                prop_assert_eq!(wait_ms(&moved, moved_ms), wait_ms(&kept, kept_ms));
            }
        }
    }

    #[test]
    fn a_rhythm_of_no_encoder_is_refused() {
        let mut rhythm = KeyframeRhythm::default();
        rhythm.note(0, 0);
        rhythm.note(1_000, 1_000);
        let refused = |change: &dyn Fn(&mut KeyframeRhythmState)| {
            let mut state = rhythm.state();
            change(&mut state);
            KeyframeRhythm::restore(state, 0).is_err()
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|state| state.intervals_ms = vec![0]));
        assert!(refused(&|state| state.intervals_ms = vec![1_000; INTERVALS + 1]));
        assert!(KeyframeRhythm::restore(rhythm.state(), i64::MIN).is_err());
        assert!(refused(&|state| state.messages = i64::MAX));
        assert!(refused(&|state| state.delays_ms = vec![i64::MIN]));
        assert!(refused(&|state| state.delays_ms = vec![0; INTERVALS + 1]));
        assert!(refused(&|state| state.last.as_mut().unwrap().time_ms = i64::MIN));
    }
}
