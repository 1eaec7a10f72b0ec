//! The boundaries between segments, for the process that goes on with them after an upgrade.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Cutter, State};
use crate::{
    flv::{audio::AudioCodec, video::VideoCodec},
    hls::{
        audio_clock::AudioTime,
        buffer_pool::BufferPool,
        container::Container,
        continuity::Continuity,
        interleaver::Pauses,
        lead_in::{Expectation, LeadIn, LeadInState},
        open_segment::{OpenSegment, OpenSegmentState},
        restored_frames::RestoredFrames,
        segment_track::{SegmentTrack, SegmentTrackState},
        segmenter::SegmenterConfig,
    },
    upgrade::{Blobs, StateError},
};

/// Counts beyond it are not of frames.
pub(in crate::hls::segmenter) const COUNT_MAX: u64 = 1 << 48;

/// A cutter as plain data, without its frames and its container.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hls::segmenter) struct CutterState {
    config: SegmenterConfig,
    continuity: Continuity,
    stage: StageState,
    video: SegmentTrackState<VideoCodec>,
    audio: SegmentTrackState<AudioCodec>,
    expectation: Expectation,
    pauses: Pauses,
    next_video_ms: Option<i64>,
    silence: Option<AudioTime>,
    spliced: bool,
    has_produced: bool,
    dropped_frames: u64,
    late_frames: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum StageState {
    Waiting(LeadInState),
    Open(OpenSegmentState),
}

impl<C: Container> Cutter<C> {
    /// The cutter as plain data; its frames go to `frames`.
    pub(in crate::hls::segmenter) fn state<'a>(
        &'a self,
        frames: &mut Vec<&'a C::Frame>,
        blobs: &mut Blobs,
    ) -> CutterState {
        CutterState {
            config: self.config,
            continuity: self.continuity.clone(),
            stage: match &self.state {
                State::Waiting(lead_in) => StageState::Waiting(lead_in.state(frames)),
                State::Open(open) => StageState::Open(open.state(frames, blobs)),
            },
            video: self.video.state(blobs),
            audio: self.audio.state(blobs),
            expectation: self.expectation,
            pauses: self.pauses,
            next_video_ms: self.next_video_ms,
            silence: self.silence,
            spliced: self.spliced,
            has_produced: self.has_produced,
            dropped_frames: self.dropped_frames,
            late_frames: self.late_frames,
        }
    }

    /// The cutter that gave the state, with the next of `frames`.
    pub(in crate::hls::segmenter) fn restore(
        state: CutterState,
        container: C,
        buffers: BufferPool,
        frames: &mut RestoredFrames<C::Frame>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let are_counts = state.dropped_frames <= COUNT_MAX && state.late_frames <= COUNT_MAX;
        StateError::unless(are_counts, "a segmenter", "no stream has so many frames")?;
        Ok(Self {
            config: state.config,
            container,
            buffers,
            continuity: state.continuity,
            state: match state.stage {
                StageState::Waiting(lead_in) => State::Waiting(LeadIn::restore(lead_in, frames)?),
                StageState::Open(open) => State::Open(OpenSegment::restore::<C>(open, frames, blobs)?),
            },
            video: SegmentTrack::restore(state.video, blobs)?,
            audio: SegmentTrack::restore(state.audio, blobs)?,
            expectation: state.expectation,
            pauses: state.pauses,
            next_video_ms: state.next_video_ms,
            silence: state.silence,
            spliced: state.spliced,
            has_produced: state.has_produced,
            finished: VecDeque::new(),
            dropped_frames: state.dropped_frames,
            late_frames: state.late_frames,
        })
    }
}
