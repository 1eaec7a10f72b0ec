//! Audio frames that wait to share one PES packet: alone, each would waste most of a transport packet.

use super::psi::AudioStream;

/// The most that a pack plays.
const SPAN_MAX_MS: i64 = 90;

/// A pack this much older than the video beside it is not waited for any longer.
const AGE_MAX_MS: i64 = 200;

/// A frame is presented where those before it in the pack end. If its own time is further off, it begins another pack.
const DRIFT_MAX_MS: i64 = 10;

const PACK_MAX_BYTES: usize = 16 * 1024;

/// Consecutive frames, of which the first has a time.
#[derive(Debug, Default)]
pub(super) struct AudioPack {
    first: Option<(AudioStream, i64)>,
    frame_count: i64,
    bytes: Vec<u8>,
}

/// How long a frame of this stream plays, as a fraction of a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameSpan {
    pub(super) samples: u32,
    pub(super) rate_hz: u32,
}

impl FrameSpan {
    fn times(self, count: i64) -> i64 {
        count * 1_000 * i64::from(self.samples) / i64::from(self.rate_hz.max(1))
    }
}

impl AudioPack {
    /// Whether a frame can join. Nothing joins a stream whose frames' span is not known.
    pub(super) fn has_room(
        &self,
        stream: AudioStream,
        time_ms: i64,
        size_bytes: usize,
        span: Option<FrameSpan>,
    ) -> bool {
        let Some((first_stream, first_ms)) = self.first else {
            return true;
        };
        let Some(span) = span else { return false };
        let drift_ms = time_ms.saturating_sub(first_ms.saturating_add(span.times(self.frame_count)));
        stream == first_stream
            && drift_ms.saturating_abs() <= DRIFT_MAX_MS
            && span.times(self.frame_count + 1) <= SPAN_MAX_MS
            && self.bytes.len() + size_bytes <= PACK_MAX_BYTES
    }

    /// Adds a frame behind its header; check [`has_room`](Self::has_room) first.
    pub(super) fn push(&mut self, stream: AudioStream, time_ms: i64, header: &[u8], frame: &[u8]) {
        self.first.get_or_insert((stream, time_ms));
        self.frame_count += 1;
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(frame);
    }

    /// Whether it should go before video of this time.
    pub(super) fn is_old(&self, now_ms: i64) -> bool {
        self.first.is_some_and(|(_, first_ms)| now_ms.saturating_sub(first_ms) > AGE_MAX_MS)
    }

    /// What it holds, to be written: stream, time of the first frame, frames. Empties it.
    pub(super) fn take(&mut self, write: impl FnOnce(AudioStream, i64, &[u8])) {
        if let Some((stream, first_ms)) = self.first.take() {
            write(stream, first_ms, &self.bytes);
        }
        self.frame_count = 0;
        self.bytes.clear();
    }
}
