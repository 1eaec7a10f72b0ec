//! Audio frames that wait to share one PES packet: alone, each would waste most of a transport packet.

use super::psi::AudioStream;
use crate::hls::audio_clock::{AudioTime, FrameSpan};

/// The most that a pack plays.
const SPAN_MAX_MS: i64 = 90;

/// A pack this much older than the video beside it is not waited for any longer.
const AGE_MAX_MS: i64 = 200;

const PACK_MAX_BYTES: usize = 16 * 1024;

/// Consecutive frames, of which the first has a time.
#[derive(Debug, Default)]
pub(super) struct AudioPack {
    first: Option<PackStart>,
    frame_count: i64,
    bytes: Vec<u8>,
}

/// The first frame of a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackStart {
    pub(super) stream: AudioStream,
    pub(super) time_ms: i64,
    /// The same counted in samples, for streams whose frames' span is known.
    pub(super) counted: Option<AudioTime>,
}

impl FrameSpan {
    fn times(self, count: i64) -> i64 {
        count * 1_000 * i64::from(self.samples) / i64::from(self.rate_hz.max(1))
    }
}

impl AudioPack {
    /// Returns whether a frame can join. None joins a stream whose frames' span is not known.
    pub(super) fn has_room(&self, next: PackStart, size_bytes: usize, span: Option<FrameSpan>) -> bool {
        let Some(first) = self.first else { return true };
        let (Some(first_time), Some(next_time), Some(span)) = (first.counted, next.counted, span) else {
            return false;
        };
        next.stream == first.stream
            && next_time.continues(first_time)
            && span.times(self.frame_count + 1) <= SPAN_MAX_MS
            && self.bytes.len() + size_bytes <= PACK_MAX_BYTES
    }

    /// Adds a frame behind its header; check [`has_room`](Self::has_room) first.
    pub(super) fn push(&mut self, next: PackStart, header: &[u8], frame: &[u8]) {
        self.first.get_or_insert(next);
        self.frame_count += 1;
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(frame);
    }

    /// Returns whether it should go before video of this time.
    pub(super) fn is_old(&self, now_ms: i64) -> bool {
        self.first.is_some_and(|first| now_ms.saturating_sub(first.time_ms) > AGE_MAX_MS)
    }

    /// Takes its frames, to be written.
    pub(super) fn take(&mut self, write: impl FnOnce(PackStart, &[u8])) {
        if let Some(first) = self.first.take() {
            write(first, &self.bytes);
        }
        self.frame_count = 0;
        self.bytes.clear();
    }
}
