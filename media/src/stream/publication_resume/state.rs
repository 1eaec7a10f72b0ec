//! The position in a publication that is pulled, for a process that goes on with it over a connection of its own.

use serde::{Deserialize, Serialize};

use super::{HELD_MAX, HeldHeaders, PublicationResume, ResumePhase};
use crate::{
    stream::{
        frame::{Frame, FrameState},
        frame_class::FrameClass,
    },
    upgrade::{Blobs, StateError},
};

const PART: &str = "a pulled publication";

/// The state of a [`PublicationResume`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicationResumeState {
    audio_ms: Option<u32>,
    video_ms: Option<u32>,
    phase: ResumePhaseState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ResumePhaseState {
    Following,
    Joining(Vec<FrameState>),
    Repeating(Vec<FrameState>),
}

impl PublicationResume {
    /// Gives its state. Headers that are held go into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> PublicationResumeState {
        let phase = match &self.phase {
            ResumePhase::Following => ResumePhaseState::Following,
            ResumePhase::Joining(held) => ResumePhaseState::Joining(held.state(blobs)),
            ResumePhase::Repeating(held) => ResumePhaseState::Repeating(held.state(blobs)),
        };
        PublicationResumeState { audio_ms: self.audio_ms, video_ms: self.video_ms, phase }
    }

    /// Restores the position. A process that opens a new connection calls [`reconnected`](Self::reconnected) then.
    pub fn restore(state: PublicationResumeState, blobs: &Blobs) -> Result<Self, StateError> {
        let phase = match state.phase {
            ResumePhaseState::Following => ResumePhase::Following,
            ResumePhaseState::Joining(held) => ResumePhase::Joining(HeldHeaders::restore(held, blobs)?),
            ResumePhaseState::Repeating(held) => ResumePhase::Repeating(HeldHeaders::restore(held, blobs)?),
        };
        Ok(Self { audio_ms: state.audio_ms, video_ms: state.video_ms, phase })
    }
}

impl HeldHeaders {
    fn state(&self, blobs: &mut Blobs) -> Vec<FrameState> {
        self.0.iter().map(|(_, frame)| frame.state(blobs)).collect()
    }

    fn restore(frames: Vec<FrameState>, blobs: &Blobs) -> Result<Self, StateError> {
        StateError::unless(frames.len() <= HELD_MAX, PART, "too many headers are held")?;
        let held = frames.into_iter().map(|frame| {
            let frame = Frame::restore(frame, blobs)?;
            let class = FrameClass::of(&frame).ok().filter(|class| class.is_header());
            let class = class.ok_or(StateError::Invalid { part: PART, reason: "a frame is no header" })?;
            Ok((class, frame))
        });
        held.collect::<Result<_, StateError>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{samples, upgrade::testing::read_again};

    fn restored(resume: &PublicationResume) -> PublicationResume {
        let mut blobs = Blobs::default();
        let state = resume.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        PublicationResume::restore(state, &blobs).unwrap()
    }

    /// A connection to a publication: headers, then frames from the `from`th on, a keyframe each eight.
    fn connection(from: u32, count: u32) -> Vec<Frame> {
        let media = (from..from + count).map(|at| match at % 8 {
            0 => samples::keyframe(at * 20),
            2 | 4 | 6 => samples::inter(at * 20),
            _ => samples::audio(at * 20),
        });
        [samples::metadata(true, true), samples::video_header(), samples::audio_header()]
            .into_iter()
            .chain(media)
            .collect()
    }

    proptest! {
        #[test]
        fn a_restored_position_takes_what_the_one_before_would_have(
            connections in prop::collection::vec((0_u32..12, 1_u32..60), 1..4),
            piece in 1_usize..12,
            cuts in prop::collection::vec(any::<bool>(), 1..20),
        ) {
            let (mut kept, mut moved) = (PublicationResume::default(), PublicationResume::default());
            let mut cuts = cuts.iter().cycle();
            for (gop, count) in connections {
                kept.reconnected();
                moved.reconnected();
                for frames in connection(gop * 8, count).chunks(piece) {
                    prop_assert_eq!(moved.take(frames.to_vec()), kept.take(frames.to_vec()));
                    if cuts.next() == Some(&true) {
                        moved = restored(&moved);
                    }
                }
            }
        }
    }

    #[test]
    fn a_position_with_headers_that_are_none_is_refused() {
        let mut blobs = Blobs::default();
        let mut refused = |frames: Vec<Frame>| {
            let held = frames.iter().map(|frame| frame.state(&mut blobs)).collect();
            let phase = ResumePhaseState::Repeating(held);
            let state = PublicationResumeState { audio_ms: None, video_ms: None, phase };
            PublicationResume::restore(state, &blobs).is_err()
        };
        assert!(!refused(vec![samples::video_header()]));
        assert!(refused(vec![samples::keyframe(0)]));
        assert!(refused(vec![samples::video_header(); HELD_MAX + 1]));
    }
}
