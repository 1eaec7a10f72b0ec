//! The reasons that viewers cannot hear a stream.

use thiserror::Error;

use crate::{codec::aac::AacConfigError, flv::audio::AudioCodec};

/// The reason viewers get no audio of a stream that has some.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAudio {
    /// It is neither Opus nor AAC.
    #[error("{0} is not sent over WebRTC: publish AAC or Opus")]
    Codec(AudioCodec),
    /// The sequence header cannot be read.
    #[error(transparent)]
    Config(#[from] AacConfigError),
    /// AAC of a kind that is not decoded.
    #[error("of AAC, only LC in mono or stereo and at 48 kHz or less is sent over WebRTC")]
    UnsupportedAac,
    /// The AAC cannot be decoded.
    #[error("the AAC cannot be decoded: {0}")]
    Decoder(String),
    /// The encoder failed.
    #[error("the audio cannot be encoded: {0}")]
    Encoder(String),
}
