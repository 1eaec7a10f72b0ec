//! An audio track, for the process that goes on with it after an upgrade.

use serde::{Deserialize, Serialize};

use super::{AudioConfig, Description, OwnBox};
use crate::{flv::audio::AudioCodec, upgrade::StateError};

const PART: &str = "fragmented MP4";

/// Samples of the shortest frame of a codec that has silence, which is AAC's low delay form.
const LEAST_SAMPLES: u32 = 480;

/// The highest sampling frequency that a sequence header can name, in Hz: it has 24 bits.
const MOST_HZ: u32 = (1 << 24) - 1;

/// An audio track as plain data. Its source, a sequence header or a frame, is not kept, but all that was read from it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hls::fmp4) struct AudioConfigState {
    codec: AudioCodec,
    rate_hz: u32,
    channels: u8,
    frame_samples: u32,
    silence: Option<Vec<u8>>,
    description: DescriptionState,
}

#[derive(Debug, Serialize, Deserialize)]
enum DescriptionState {
    Esds { object_type: u8, config: Vec<u8>, name: String },
    Own { content: Vec<u8> },
}

impl AudioConfig {
    /// The track as plain data.
    pub fn state(&self) -> AudioConfigState {
        let description = match &self.description {
            Description::Esds { object_type, config, name } => DescriptionState::Esds {
                object_type: *object_type,
                config: config.clone(),
                name: name.clone(),
            },
            Description::Own { content, .. } => DescriptionState::Own { content: content.clone() },
        };
        AudioConfigState {
            codec: self.codec,
            rate_hz: self.rate_hz,
            channels: self.channels,
            frame_samples: self.frame_samples,
            silence: self.silence.clone(),
            description,
        }
    }

    /// The track that gave the state.
    pub fn restore(state: AudioConfigState) -> Result<Self, StateError> {
        let AudioConfigState { codec, rate_hz, channels, frame_samples, silence, description } = state;
        // Silence is repeated until it has lasted for long enough.
        let lasts = silence.is_none() || (frame_samples >= LEAST_SAMPLES && rate_hz <= MOST_HZ);
        StateError::unless(lasts, PART, "a frame of silence is too short")?;
        let no_box = StateError::Invalid { part: PART, reason: "the audio codec has no box of its own" };
        let description = match description {
            DescriptionState::Esds { object_type, config, name } => {
                Description::Esds { object_type, config, name }
            }
            DescriptionState::Own { content } => {
                Description::Own { own: OwnBox::of(codec).ok_or(no_box)?, content }
            }
        };
        Ok(Self { codec, rate_hz, channels, frame_samples, silence, description })
    }
}
