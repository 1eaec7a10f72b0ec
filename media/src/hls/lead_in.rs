//! The time before the first segment: until a keyframe comes, or until it is clear that there is no video.

use serde::{Deserialize, Serialize};

use super::restored_frames::RestoredFrames;
use crate::upgrade::StateError;

/// Time after which audio alone means that there is no video, if nothing has announced any.
const UNKNOWN_WAIT_MS: i64 = 1_000;

/// Video that was announced is waited for, but not longer.
const VIDEO_WAIT_MS: i64 = 11_000;

/// Maximum frames of audio that are held back meanwhile: twice what the shortest common frames need.
const HELD_MAX: usize = 256;

/// The tracks and headers of a stream before its first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Expectation {
    /// Nothing has been said.
    Unknown,
    /// There is video: its sequence header came, or the metadata says so.
    Video,
    /// There is none: the metadata says so.
    AudioOnly,
}

impl Expectation {
    /// Time that one track alone waits for the other, in milliseconds.
    pub(super) const fn other_track_wait_ms(self) -> i64 {
        match self {
            Expectation::Unknown => UNKNOWN_WAIT_MS,
            Expectation::Video => VIDEO_WAIT_MS,
            Expectation::AudioOnly => 0,
        }
    }
}

/// The decision on a frame of audio.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LeadInStep<F> {
    /// It is kept, to be written once it is clear that there is no video.
    Held,
    /// It comes before the first keyframe.
    Drop,
    /// A segment without video begins: with what was held, of which this frame is the last.
    Begin(Vec<(i64, F)>),
}

#[derive(Debug)]
pub(super) struct LeadIn<F> {
    since_ms: Option<i64>,
    held: Vec<(i64, F)>,
}

/// The times of what is held before the first segment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LeadInState {
    since_ms: Option<i64>,
    times_ms: Vec<i64>,
}

impl<F> LeadIn<F> {
    pub(super) fn new() -> Self {
        Self { since_ms: None, held: Vec::new() }
    }

    /// The times of what is held, and since when; the frames go to `frames`.
    pub(super) fn state<'a>(&'a self, frames: &mut Vec<&'a F>) -> LeadInState {
        frames.extend(self.held.iter().map(|(_, frame)| frame));
        LeadInState {
            since_ms: self.since_ms,
            times_ms: self.held.iter().map(|(time_ms, _)| *time_ms).collect(),
        }
    }

    /// The lead-in that gave the state, with the next of `frames`.
    pub(super) fn restore(state: LeadInState, frames: &mut RestoredFrames<F>) -> Result<Self, StateError> {
        let held = state.times_ms.into_iter().map(|time_ms| Ok((time_ms, frames.next()?)));
        Ok(Self { since_ms: state.since_ms, held: held.collect::<Result<_, StateError>>()? })
    }

    /// A frame of audio came.
    pub(super) fn audio(&mut self, time_ms: i64, frame: F, expectation: Expectation) -> LeadInStep<F> {
        let waited_ms = time_ms.saturating_sub(*self.since_ms.get_or_insert(time_ms));
        let begins = waited_ms >= expectation.other_track_wait_ms()
            || (expectation == Expectation::Unknown && self.held.len() >= HELD_MAX);
        if !begins && expectation != Expectation::Unknown {
            return LeadInStep::Drop;
        }
        self.held.push((time_ms, frame));
        if begins { LeadInStep::Begin(std::mem::take(&mut self.held)) } else { LeadInStep::Held }
    }

    /// Drops the held frames, and returns how many there were.
    pub(super) fn drop_held(&mut self) -> u64 {
        let held = std::mem::take(&mut self.held);
        held.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(lead_in: &mut LeadIn<char>, time_ms: i64, expectation: Expectation) -> LeadInStep<char> {
        lead_in.audio(time_ms, 'a', expectation)
    }

    #[test]
    fn sound_alone_is_held_for_a_second() {
        let mut lead_in = LeadIn::new();
        assert_eq!(step(&mut lead_in, 5_000, Expectation::Unknown), LeadInStep::Held);
        assert_eq!(step(&mut lead_in, 5_999, Expectation::Unknown), LeadInStep::Held);
        let LeadInStep::Begin(held) = step(&mut lead_in, 6_000, Expectation::Unknown) else { panic!() };
        assert_eq!(held, [(5_000, 'a'), (5_999, 'a'), (6_000, 'a')]);
    }

    #[test]
    fn held_audio_is_bounded() {
        let mut lead_in = LeadIn::new();
        let steps = (0..=HELD_MAX).map(|_| step(&mut lead_in, 0, Expectation::Unknown));
        assert!(matches!(steps.last(), Some(LeadInStep::Begin(held)) if held.len() == HELD_MAX + 1));
    }

    #[test]
    fn announced_video_is_waited_for_but_not_for_ever() {
        let mut lead_in = LeadIn::new();
        assert_eq!(step(&mut lead_in, 0, Expectation::Video), LeadInStep::Drop);
        assert_eq!(step(&mut lead_in, 10_999, Expectation::Video), LeadInStep::Drop);
        assert_eq!(step(&mut lead_in, 11_000, Expectation::Video), LeadInStep::Begin(vec![(11_000, 'a')]));
    }

    #[test]
    fn a_stream_known_to_have_no_video_begins_at_once() {
        let step = step(&mut LeadIn::new(), 0, Expectation::AudioOnly);
        assert_eq!(step, LeadInStep::Begin(vec![(0, 'a')]));
    }
}
