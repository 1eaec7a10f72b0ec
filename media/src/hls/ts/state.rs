//! MPEG-TS and its frames as plain data.

use serde::{Deserialize, Serialize};

use super::{audio_config::AudioConfig, psi::AudioStream, writer::TsWriter};
use crate::{
    codec::{adts::ADTS_HEADER_BYTES, nal::NalConfig},
    hls::audio_clock::{AudioClock, FrameSpan},
    upgrade::BlobId,
};

/// A container of MPEG-TS with frames, as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub struct TsState {
    pub(super) writer: TsWriter,
    pub(super) clock: AudioClock,
    /// The place of the configuration, and whether it has changed.
    pub(super) video: Option<(u32, bool)>,
    pub(super) audio: Option<AudioConfig>,
    /// Of frames and of the video track, by their places.
    pub(super) configs: Vec<NalConfig>,
    pub(super) frames: Vec<FrameState>,
}

/// A frame as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FrameState {
    Video {
        config: u32,
        nals: BlobId,
        is_keyframe: bool,
        begins_sequence: bool,
        delay_ticks: i64,
        composition_ticks: i64,
    },
    Audio {
        stream: AudioStream,
        span: Option<FrameSpan>,
        adts: Option<[u8; ADTS_HEADER_BYTES]>,
        data: BlobId,
    },
}
