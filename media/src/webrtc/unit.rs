//! Pieces of media that are ready for RTP.

use std::sync::Arc;

use crate::webrtc::{audio::unit::AudioUnit, payload::Payloads};

/// RTP ticks of video in a millisecond (RFC 6184, section 8.2.1).
pub const VIDEO_TICKS_PER_MS: i64 = 90;

/// A frame of video in RTP payloads.
#[derive(Debug, PartialEq, Eq)]
pub struct VideoUnit {
    /// The time at which it is shown, in milliseconds of the stream's timeline.
    pub shown_ms: i64,
    /// Decoding can start at it.
    pub is_start: bool,
    /// The payloads, of which the last one gets the marker; at least one.
    pub payloads: Payloads,
    /// The padding at the end of the last payload, in bytes.
    pub padding_bytes: u8,
}

/// A piece of media that is ready for RTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Of video.
    Video(Arc<VideoUnit>),
    /// Of audio.
    Audio(Arc<AudioUnit>),
}

impl VideoUnit {
    /// Returns the size of its payloads, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.payloads.iter().map(|payload| payload.len()).sum()
    }
}
