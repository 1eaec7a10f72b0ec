//! The state of a batcher, with the frames since the last flush.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Batcher, PendingTag, Phase, StreamNote, TagKind};
use crate::{
    stream::{
        frame::Track,
        headers::{HeaderSet, HeaderSetState, Headers, HeadersState},
        opening::{Opening, OpeningState},
        timeline::{Timeline, TimelineState},
        track_watch::TrackWatch,
        video_entry::{EntryLimits, VideoEntry},
        video_frame::VideoFrames,
    },
    upgrade::{BlobId, Blobs, StateError, check_media_time},
};

const PART: &str = "a batcher";

/// The state of a [`Batcher`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatcherState {
    timeline: TimelineState,
    headers: HeaderSetState,
    /// The frames that are held, while it is not known which tracks come.
    opening: Option<OpeningState>,
    pending: Vec<PendingTagState>,
    audio: TrackWatch,
    video: TrackWatch,
    parameter_sets: Vec<u8>,
    entry: VideoEntry,
    last_audio_start_ms: Option<i64>,
    apart_frames: u32,
    video_after_audio_ms: Option<i64>,
    has_b_frames: bool,
    notes: Vec<StreamNote>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PendingTagState {
    track: Track,
    time_ms: i64,
    payload: BlobId,
    kind: TagKind,
    start: Option<HeadersState>,
}

impl Batcher {
    /// Gives its state. Frames that were not flushed are in it; their media goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> BatcherState {
        BatcherState {
            timeline: self.timeline.state(),
            headers: self.headers.state(blobs),
            opening: match &self.phase {
                Phase::Opening(opening) => Some(opening.state(blobs)),
                Phase::Open => None,
            },
            pending: self.pending.iter().map(|tag| tag.state(blobs)).collect(),
            audio: self.audio.clone(),
            video: self.video.clone(),
            parameter_sets: self.video_frames.parameter_sets().to_vec(),
            entry: self.entry.clone(),
            last_audio_start_ms: self.last_audio_start_ms,
            apart_frames: self.apart_frames,
            video_after_audio_ms: self.video_after_audio_ms,
            has_b_frames: self.has_b_frames,
            notes: self.notes.clone(),
        }
    }

    /// Restores the batcher under limits that may be others than before.
    pub fn restore(state: BatcherState, limits: EntryLimits, blobs: &Blobs) -> Result<Self, StateError> {
        state.audio.check()?;
        state.video.check()?;
        state.entry.check()?;
        check_media_time(state.last_audio_start_ms.unwrap_or(0), PART)?;
        check_media_time(state.video_after_audio_ms.unwrap_or(0).saturating_abs(), PART)?;
        let opening = state.opening.map(|opening| Opening::restore(opening, blobs)).transpose()?;
        let pending = state.pending.into_iter().map(|tag| PendingTag::restore(tag, blobs));
        let video_frames = VideoFrames::behind_parameter_sets(state.parameter_sets);
        let too_long = StateError::Invalid { part: PART, reason: "parameter sets are too long" };
        Ok(Self {
            limits,
            timeline: Timeline::restore(state.timeline)?,
            headers: HeaderSet::restore(state.headers, blobs)?,
            phase: opening.map_or(Phase::Open, Phase::Opening),
            pending: pending.collect::<Result<_, _>>()?,
            audio: state.audio,
            video: state.video,
            video_frames: video_frames.ok_or(too_long)?,
            entry: state.entry,
            last_audio_start_ms: state.last_audio_start_ms,
            apart_frames: state.apart_frames,
            video_after_audio_ms: state.video_after_audio_ms,
            has_b_frames: state.has_b_frames,
            notes: state.notes,
        })
    }
}

impl PendingTag {
    fn state(&self, blobs: &mut Blobs) -> PendingTagState {
        PendingTagState {
            track: self.track,
            time_ms: self.time_ms,
            payload: blobs.put(&self.payload),
            kind: self.kind,
            start: self.start.as_ref().map(|headers| headers.state(blobs)),
        }
    }

    fn restore(state: PendingTagState, blobs: &Blobs) -> Result<Self, StateError> {
        let PendingTagState { track, time_ms, payload, kind, start } = state;
        check_media_time(time_ms, PART)?;
        let start = start.map(|headers| Headers::restore(headers, blobs)).transpose()?.map(Arc::new);
        Ok(Self { track, time_ms, payload: blobs.get(payload)?, kind, start })
    }
}

#[cfg(test)]
mod tests;
