//! The state of a timeline.

use serde::{Deserialize, Serialize};

use super::{Timeline, TrackClock};
use crate::{
    stream::decode_order::DecodeOrder,
    upgrade::{StateError, check_media_time},
};

const PART: &str = "a timeline";

/// The furthest that a publisher's clock, and its distance to the timeline, can come, in milliseconds: 30,000 years.
const CLOCK_MAX_MS: i64 = 1 << 50;

/// The state of a [`Timeline`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimelineState {
    newest_ms: Option<i64>,
    floor_ms: i64,
    audio: TrackClock,
    video: TrackClock,
    video_order: DecodeOrder,
}

impl Timeline {
    /// Gives its state.
    pub fn state(&self) -> TimelineState {
        let Self { newest_ms, floor_ms, audio, video, video_order } = self.clone();
        TimelineState { newest_ms, floor_ms, audio, video, video_order }
    }

    /// Restores the timeline; refuses times that it never gives.
    pub fn restore(state: TimelineState) -> Result<Self, StateError> {
        let TimelineState { newest_ms, floor_ms, audio, video, video_order } = state;
        check_media_time(newest_ms.unwrap_or(0), PART)?;
        check_media_time(floor_ms, PART)?;
        audio.check()?;
        video.check()?;
        video_order.check(2 * CLOCK_MAX_MS)?;
        Ok(Self { newest_ms, floor_ms, audio, video, video_order })
    }
}

impl TrackClock {
    fn check(&self) -> Result<(), StateError> {
        check_media_time(self.last_ms.unwrap_or(0), PART)?;
        let Some(reading) = self.reading else { return Ok(()) };
        let is_clock = |ms: i64| (-CLOCK_MAX_MS..=CLOCK_MAX_MS).contains(&ms);
        let is_bounded = is_clock(reading.unwrapped_ms) && is_clock(reading.offset_ms);
        StateError::unless(is_bounded, PART, "a clock is too far from it")?;
        let is_in_step = !self.is_steady || self.last_ms == Some(reading.stamp_ms());
        StateError::unless(is_in_step, PART, "a steady clock is out of step")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        stream::{frame::Track, timeline::Placed},
        upgrade::{Blobs, testing::read_again},
    };

    fn restored(timeline: &Timeline) -> Timeline {
        Timeline::restore(read_again(&timeline.state(), &Blobs::default()).0).unwrap()
    }

    /// A frame's track and distance to the one before it; rarely, the publisher ends, or its clock is at another time.
    #[derive(Debug, Clone)]
    enum Step {
        Frame { is_audio: bool, step_ms: i32 },
        End,
        Jump(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let step_ms = prop_oneof![6 => 0_i32..100, 2 => -200_i32..0, 1 => -20_000_i32..20_000];
        let frame =
            (any::<bool>(), step_ms).prop_map(|(is_audio, step_ms)| Step::Frame { is_audio, step_ms });
        prop_oneof![20 => frame, 1 => Just(Step::End), 1 => any::<u32>().prop_map(Step::Jump)]
    }

    fn placed(timeline: &mut Timeline, step: &Step, clock_ms: u32) -> Option<Placed> {
        match step {
            Step::Frame { is_audio, .. } => {
                let track = if *is_audio { Track::Audio } else { Track::Video };
                timeline.restart_if_due();
                Some(timeline.place_decoded(track, clock_ms))
            }
            Step::End => {
                timeline.end_clock();
                None
            }
            Step::Jump(_) => None,
        }
    }

    proptest! {
        #[test]
        fn a_restored_timeline_goes_on_as_the_one_before(
            first_ms: u32,
            steps in prop::collection::vec(any_step(), 1..120),
            cut: prop::sample::Index,
        ) {
            let cut = cut.index(steps.len());
            let (mut kept, mut moved) = (Timeline::default(), Timeline::default());
            let mut clock_ms = first_ms;
            for (at, step) in steps.iter().enumerate() {
                match step {
                    Step::Frame { step_ms, .. } => clock_ms = clock_ms.wrapping_add_signed(*step_ms),
                    Step::Jump(to_ms) => clock_ms = *to_ms,
                    Step::End => {}
                }
                if at == cut {
                    moved = restored(&moved);
                }
                prop_assert_eq!(placed(&mut moved, step, clock_ms), placed(&mut kept, step, clock_ms));
                prop_assert_eq!(moved.beside(Track::Audio, clock_ms), kept.beside(Track::Audio, clock_ms));
                prop_assert_eq!(moved.newest_ms(), kept.newest_ms());
            }
        }
    }

    #[test]
    fn a_timeline_that_starts_over_does_so_after_the_upgrade_as_well() {
        let (mut kept, mut at_ms) = (Timeline::default(), 0_u32);
        while kept.newest_ms().is_none_or(|newest_ms| newest_ms < super::super::RESTART_MS) {
            kept.place(Track::Video, at_ms);
            at_ms += 9_999;
        }
        let mut moved = restored(&kept);
        assert!(moved.restart_if_due() && kept.restart_if_due());
        assert_eq!(moved.place(Track::Video, at_ms), kept.place(Track::Video, at_ms));
    }

    #[test]
    fn a_timeline_that_no_stream_has_is_refused() {
        let mut timeline = Timeline::default();
        // Video whose times go back, so that there is an order to remember.
        for at in [0, 120, 40, 80, 240, 160, 200] {
            timeline.place(Track::Video, at);
            timeline.place(Track::Audio, at);
        }
        let state = timeline.state();
        let refused = |change: &dyn Fn(&mut TimelineState)| {
            let mut changed = state.clone();
            change(&mut changed);
            Timeline::restore(changed).is_err()
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|state| state.newest_ms = Some(i64::MAX)));
        assert!(refused(&|state| state.floor_ms = -1));
        assert!(refused(&|state| state.audio.last_ms = Some(i64::MIN)));
        assert!(refused(&|state| state.video.reading.as_mut().unwrap().offset_ms = i64::MIN));
        assert!(refused(&|state| (state.audio.is_steady, state.audio.last_ms) = (true, Some(1))));
    }
}
