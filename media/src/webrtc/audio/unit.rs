//! A packet of audio that is ready for RTP.

use std::sync::Arc;

/// RTP ticks of Opus in a millisecond (RFC 7587, section 4.1).
pub const OPUS_TICKS_PER_MS: i64 = 48;

/// A packet of Opus.
#[derive(Debug, PartialEq, Eq)]
pub struct AudioUnit {
    /// Its time on the stream's timeline, in ticks of 48 kHz.
    pub ticks: i64,
    /// The payload.
    pub payload: Arc<[u8]>,
}
