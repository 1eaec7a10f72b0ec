//! The target duration.

use serde::{Deserialize, Serialize};

/// The first segment may be this much shorter than later ones before the target duration has to be raised.
const HEADROOM_MS: u64 = 250;

/// A GOP that is this much shorter than the target counts as one of its length: timestamps are rounded.
const TOLERANCE_MS: u64 = 50;

/// A target duration that was raised is lowered when no segment has needed it for so long, in milliseconds of media.
const CALM_MS: u64 = 60_000;

/// EXT-X-TARGETDURATION, which is decided by the first segment: GOPs that are longer than the target make every segment
/// longer, and the first one shows that. It is the nearest second to that segment and 250 ms more, as it also is the
/// interval at which players reload the playlist and a third of their distance to the live edge. RFC 8216 (section
/// 6.2.1) forbids to change it and (section 4.3.3.1) forbids longer segments. Should a longer one come later, it is
/// raised, as players read it anew with every playlist, but refuse or stall on segments beyond it. It is lowered again
/// when none has needed it for a minute: every viewer who comes meanwhile starts three target durations behind.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct TargetDuration {
    now_s: u64,
    /// As the first segment decided.
    first_s: u64,
    calm: Calm,
}

/// The segments since the last one that needed the target duration.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Calm {
    played_ms: u64,
    longest_s: u64,
}

impl TargetDuration {
    /// In seconds; 0 before the first segment.
    pub(super) fn as_s(&self) -> u64 {
        self.now_s
    }

    /// As the first segment decided it, in seconds; 0 before that one.
    pub(super) fn first_s(&self) -> u64 {
        self.first_s
    }

    /// Goes on with that of another node's playlist, in seconds.
    pub(super) fn resumed(now_s: u64, first_s: u64) -> Self {
        Self { now_s, first_s, calm: Calm::default() }
    }

    /// So many of it, in milliseconds.
    pub(super) fn times_ms(&self, count: u64) -> u64 {
        self.now_s.saturating_mul(1_000).saturating_mul(count)
    }

    /// Raises it for a segment of this duration. The first one decides it, by the length that segments are meant to have.
    pub(super) fn raise(&mut self, duration_ms: u64, segment_ms: u64) {
        let needed_s = match self.now_s {
            0 => to_seconds(regular_ms(duration_ms, segment_ms).saturating_add(HEADROOM_MS)).max(1),
            _ => to_seconds(duration_ms),
        };
        self.now_s = self.now_s.max(needed_s);
        if self.first_s == 0 {
            self.first_s = self.now_s;
        }
    }

    /// Lowers it if nothing has needed it for long: neither the newest segment nor the longest one that is listed.
    pub(super) fn lower(&mut self, newest_ms: u64, longest_ms: u64) {
        let needed_s = to_seconds(newest_ms);
        if needed_s >= self.now_s || self.now_s == self.first_s {
            self.calm = Calm::default();
            return;
        }
        self.calm.played_ms = self.calm.played_ms.saturating_add(newest_ms);
        self.calm.longest_s = self.calm.longest_s.max(needed_s);
        let listed_s = to_seconds(longest_ms);
        if self.calm.played_ms >= CALM_MS && listed_s < self.now_s {
            self.now_s = self.calm.longest_s.max(listed_s).max(self.first_s);
            self.calm = Calm::default();
        }
    }
}

/// The duration that regular segments will have, by the first one: it may be a single GOP, of which a regular segment has as
/// many as reach the target.
fn regular_ms(first_ms: u64, segment_ms: u64) -> u64 {
    let first_ms = first_ms.max(1);
    let gop_count = segment_ms.saturating_sub(TOLERANCE_MS).div_ceil(first_ms).max(1);
    first_ms.saturating_mul(gop_count).max(segment_ms)
}

/// The nearest whole second, as RFC 8216 compares durations with the target (section 4.3.3.1).
pub(super) const fn to_seconds(duration_ms: u64) -> u64 {
    duration_ms.saturating_add(500) / 1_000
}
