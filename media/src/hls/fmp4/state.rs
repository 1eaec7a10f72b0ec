//! Fragmented MP4 and its frames as plain data.

use serde::{Deserialize, Serialize};

use super::{audio::AudioConfigState, video_track::VideoTrackState};
use crate::{
    flv::audio::AudioCodec,
    hls::{
        audio_clock::{AudioClock, FrameSpan},
        container::InitSectionState,
    },
    upgrade::BlobId,
};

/// A container of fragmented MP4 with frames, as plain data. Tracks are named by their places.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fmp4State {
    pub(super) video: Option<u32>,
    pub(super) audio: Option<u32>,
    pub(super) audio_codec: Option<AudioCodec>,
    pub(super) clock: AudioClock,
    pub(super) segment_video: Option<u32>,
    pub(super) segment_audio: Option<u32>,
    pub(super) init: Option<InitSectionState>,
    pub(super) fragment: u32,
    pub(super) frame_ticks: Option<u32>,
    pub(super) video_tracks: Vec<VideoTrackState>,
    pub(super) audio_tracks: Vec<AudioConfigState>,
    pub(super) frames: Vec<FrameState>,
}

/// A frame as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FrameState {
    Video {
        track: u32,
        data: BlobId,
        is_keyframe: bool,
        begins_sequence: bool,
        delay_ticks: i64,
        composition_ticks: i64,
    },
    Audio {
        track: u32,
        data: BlobId,
        span: FrameSpan,
        begins_sequence: bool,
    },
}
