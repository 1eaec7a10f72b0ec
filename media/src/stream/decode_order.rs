//! Decoding times for video that its encoder stamps with presentation times.
//!
//! A tag's time is its decoding time, and the distance to its presentation stands in the frame's header (FLV v10.1
//! E.4.3.1). Some encoders write the presentation time there instead and leave the distance at 0. With B-frames such
//! times go back within each group, while every player needs decoding times that do not.

use serde::{Deserialize, Serialize};

use crate::upgrade::StateError;

/// The most frames that may follow, in presentation, one that comes after them (ISO/IEC 14496-10, section A.3.1:
/// max_dec_frame_buffering).
const DEPTH_MAX: usize = 16;

/// Steps back that make a pattern: a single one is a clock that was set.
const STEPS_BACK_MIN: u32 = 2;

/// Frames are not reordered over more than this, in milliseconds: what is further apart has a pause between.
const SPREAD_MAX_MS: i64 = 1_000;

/// So many frames without a step back end the suspicion.
const PATTERN_FRAMES: u32 = 64;

/// The highest count of a state that is restored: years of frames.
const COUNT_MAX: u32 = u32::MAX - (1 << 24);

/// Watches the stamps of one track. There is nothing to do for as long as they do not go back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DecodeOrder {
    reordering: Option<Box<Reordering>>,
}

/// The history of a track whose stamps went back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Reordering {
    /// The newest stamps, at most [`DEPTH_MAX`].
    recent_ms: Vec<i64>,
    /// Stamps whose turn to be a decoding time has not come, in ascending order.
    waiting_ms: Vec<i64>,
    /// The most frames that come before one that is presented before them.
    depth: usize,
    steps_back: u32,
    frames_since_step: u32,
}

/// The time at which a frame is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeTime {
    /// At the time of its stamp, as far as that does not go back.
    Stamped,
    /// At this time. Its stamp, in the same milliseconds, is its presentation time.
    At(i64),
}

impl DecodeOrder {
    /// Takes the stamp of the next frame, in the order of decoding, and that of the one before it.
    pub fn next(&mut self, stamp_ms: i64, last_ms: Option<i64>) -> DecodeTime {
        let is_back = last_ms.is_some_and(|last_ms| stamp_ms < last_ms);
        if !is_back && self.is_idle() {
            return DecodeTime::Stamped;
        }
        let reordering = self.reordering.get_or_insert_default();
        if reordering.recent_ms.is_empty() {
            reordering.recent_ms.extend(last_ms);
        }
        let time = reordering.next(stamp_ms, is_back);
        if reordering.is_over() {
            self.reordering = None;
        }
        time
    }

    /// Returns whether it has no use for frames that do not go back.
    pub fn is_idle(&self) -> bool {
        self.reordering.is_none()
    }

    /// Refuses one that remembers more than it may, or times outside of `-max_ms..=max_ms`.
    pub(crate) fn check(&self, max_ms: i64) -> Result<(), StateError> {
        const PART: &str = "a decode order";
        let Some(known) = &self.reordering else { return Ok(()) };
        let Reordering { recent_ms, waiting_ms, depth, steps_back, frames_since_step } = &**known;
        let is_bounded =
            recent_ms.len() <= DEPTH_MAX && waiting_ms.len() <= 2 * DEPTH_MAX && *depth <= DEPTH_MAX;
        StateError::unless(is_bounded, PART, "it remembers too much")?;
        let is_count = (*steps_back).max(*frames_since_step) <= COUNT_MAX;
        StateError::unless(is_count, PART, "a count is too high")?;
        let is_time = |ms: &i64| (-max_ms..=max_ms).contains(ms);
        let are_times = recent_ms.iter().chain(waiting_ms).all(is_time);
        StateError::unless(are_times && waiting_ms.is_sorted(), PART, "a time is none")
    }

    /// Moves all that is remembered by so many milliseconds.
    pub fn shift(&mut self, by_ms: i64) {
        let reordering = self.reordering.iter_mut();
        let remembered = reordering.flat_map(|known| known.recent_ms.iter_mut().chain(&mut known.waiting_ms));
        remembered.for_each(|ms| *ms += by_ms);
    }
}

impl Reordering {
    fn next(&mut self, stamp_ms: i64, is_back: bool) -> DecodeTime {
        let later = self.recent_ms.iter().filter(|recent_ms| **recent_ms > stamp_ms).count();
        self.depth = self.depth.max(later);
        self.steps_back += u32::from(is_back);
        self.frames_since_step = if is_back { 0 } else { self.frames_since_step + 1 };
        self.forget_before(stamp_ms - SPREAD_MAX_MS);
        let time = self.turn_of(stamp_ms);
        if self.recent_ms.len() == DEPTH_MAX {
            self.recent_ms.remove(0);
        }
        self.recent_ms.push(stamp_ms);
        time
    }

    /// The decoding times of such a track are its stamps in ascending order, late by its depth.
    fn turn_of(&mut self, stamp_ms: i64) -> DecodeTime {
        if self.steps_back < STEPS_BACK_MIN {
            return DecodeTime::Stamped;
        }
        if self.waiting_ms.is_empty() {
            self.waiting_ms.clone_from(&self.recent_ms);
            self.waiting_ms.sort_unstable();
            self.waiting_ms.drain(..self.waiting_ms.len().saturating_sub(self.depth));
        }
        let at = self.waiting_ms.partition_point(|waiting_ms| *waiting_ms <= stamp_ms);
        self.waiting_ms.insert(at, stamp_ms);
        let is_due = self.waiting_ms.len() > self.depth;
        let first_ms = self.waiting_ms.first().copied().unwrap_or(stamp_ms);
        if is_due {
            self.waiting_ms.remove(0);
        }
        DecodeTime::At(first_ms)
    }

    fn forget_before(&mut self, oldest_ms: i64) {
        self.recent_ms.retain(|recent_ms| *recent_ms >= oldest_ms);
        self.waiting_ms.retain(|waiting_ms| *waiting_ms >= oldest_ms);
    }

    fn is_over(&self) -> bool {
        self.steps_back < STEPS_BACK_MIN && self.frames_since_step >= PATTERN_FRAMES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(stamps_ms: impl IntoIterator<Item = i64>) -> Vec<DecodeTime> {
        let mut order = DecodeOrder::default();
        let mut last_ms = None;
        let next = |stamp_ms| order.next(stamp_ms, last_ms.replace(stamp_ms));
        stamps_ms.into_iter().map(next).collect()
    }

    /// Presentation times of groups that are decoded in the order of `group`, in frames of 40 ms.
    fn presented(group: &[i64], groups: i64) -> Vec<i64> {
        let of_group = |number: i64| group.iter().map(move |at| (number * group.len() as i64 + at) * 40);
        (0..groups).flat_map(of_group).collect()
    }

    #[test]
    fn stamps_in_order_are_decoding_times() {
        assert_eq!(times([0, 40, 40, 120]), [DecodeTime::Stamped; 4]);
    }

    #[test]
    fn one_step_back_is_no_pattern() {
        let stamps = [0, 40, 80, 20].into_iter().chain((1..200).map(|at| 20 + at * 40));
        assert!(times(stamps).iter().all(|time| *time == DecodeTime::Stamped));
    }

    #[test]
    fn b_frames_are_decoded_in_order_a_frame_after_another() {
        for group in [&[3, 1, 2][..], &[4, 2, 1, 3], &[2, 1]] {
            let stamps = presented(group, 20);
            let settled = 4 * group.len();
            let found: Vec<i64> = times(stamps.clone())
                .into_iter()
                .skip(settled)
                .map(|time| match time {
                    DecodeTime::At(at_ms) => at_ms,
                    DecodeTime::Stamped => panic!("the pattern is known by now"),
                })
                .collect();
            let steps: Vec<i64> = found.windows(2).map(|two| two[1] - two[0]).collect();
            assert!(steps.iter().all(|step| *step == 40), "{group:?}: {steps:?}");
            assert!(found.iter().zip(&stamps[settled..]).all(|(at, stamp)| at <= stamp), "{group:?}");
        }
    }

    #[test]
    fn a_frame_behind_a_pause_is_decoded_at_its_own_time() {
        let stamps = presented(&[3, 1, 2], 20).into_iter().chain([60_000]);
        assert_eq!(times(stamps).last(), Some(&DecodeTime::At(60_000)));
    }

    proptest! {
        #[test]
        fn any_stamps_are_taken_in_bounded_memory(stamps in proptest::collection::vec(-1000_i64..1000, 0..300)) {
            let mut order = DecodeOrder::default();
            let mut last_ms = None;
            for stamp_ms in stamps {
                order.next(stamp_ms, last_ms.replace(stamp_ms));
                if let Some(known) = &order.reordering {
                    prop_assert!(known.recent_ms.len() <= DEPTH_MAX && known.waiting_ms.len() <= DEPTH_MAX + 1);
                }
            }
        }
    }
}
