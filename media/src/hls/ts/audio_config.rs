//! The audio track that MPEG-TS carries.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{codec::adts::AdtsConfig, hls::mp3::Mp3Header};

/// The configuration that frames of audio are read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AudioConfig {
    /// By its sequence header.
    Aac(AdtsConfig),
    /// The header of the last frame that had one.
    Mp3(Option<Mp3Header>),
}

impl AudioConfig {
    /// A frame of silence, if there is one in this form.
    pub(super) fn silence(self) -> Option<Bytes> {
        match self {
            Self::Aac(config) => config.silence().map(Bytes::from),
            Self::Mp3(header) => header.map(|header| header.silence().into()),
        }
    }
}
