//! An attempt to decode AAC that no one hears.

use std::fmt;

use crate::{
    codec::aac::AacConfig,
    webrtc::audio::{aac::AacDecoder, no_audio::NoAudio, transcoder::FAILURES_MAX},
};

/// Finds out whether a stream's AAC can be decoded, at the cost of one frame if it can.
#[derive(Default)]
pub enum Trial {
    /// No frame has come.
    #[default]
    Unknown,
    /// All frames so far have failed.
    Failing { decoder: Box<AacDecoder>, failures: u32 },
    /// A frame was decoded. No other is looked at.
    Passed,
}

impl Trial {
    /// Takes a frame. Fails once as many in a row as the transcoder gives up after cannot be decoded.
    pub fn push(&mut self, config: &AacConfig, frame: &[u8]) -> Result<(), NoAudio> {
        let (mut decoder, failures) = match std::mem::take(self) {
            Self::Unknown => (Box::new(AacDecoder::new(config)?), 0),
            Self::Failing { decoder, failures } => (decoder, failures),
            Self::Passed => {
                *self = Self::Passed;
                return Ok(());
            }
        };
        *self = match decoder.decode(frame) {
            Ok(_) => Self::Passed,
            Err(error) if failures >= FAILURES_MAX => return Err(error),
            Err(_) => Self::Failing { decoder, failures: failures + 1 },
        };
        Ok(())
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown",
            Self::Failing { .. } => "Failing",
            Self::Passed => "Passed",
        })
    }
}
