//! Where a playlist's numbers begin, so that they never go back: not when a room is published again, and not when the
//! server was started anew in between.

use std::sync::atomic::{AtomicU64, Ordering};

/// 2020-01-01. Counted from here, numbers stay below 2^31 until 2037, beyond which old players do not count.
const EPOCH_UNIX_MS: u64 = 1_577_836_800_000;

/// The clock gains a sequence number in this time. Segments are longer, so that no playlist outruns the clock.
const SEQUENCE_STEP_MS: u64 = 250;

/// The same for discontinuities. A room that goes on at another node must have another number there, or players place
/// its media on the old timeline; a node is not taken over from faster than this.
const DISCONTINUITY_STEP_MS: u64 = 4_000;

/// The clock's numbers begin anew after so many, three days. hls.js keeps an array that is as long as a number is large
/// and walks it at each playlist: a few milliseconds at this size, longer than a segment at a number for each second
/// since 2020. Players that saw a room move across the wrap see a number go back; media sequences tell them apart.
const DISCONTINUITY_WRAP: u64 = 1 << 16;

/// The largest sequence number so far, over all rooms.
#[derive(Debug, Default)]
pub(super) struct SequenceAllocator {
    next_sequence: AtomicU64,
}

/// The numbers of a first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct First {
    pub sequence: u64,
    pub discontinuity: u64,
}

impl SequenceAllocator {
    /// SequenceAllocator above those of every earlier playlist, and of the room's last one, which reached `last_discontinuity`. The
    /// clock alone is not trusted: it can be set back.
    pub fn first(&self, unix_ms: u64, last_discontinuity: Option<u64>) -> First {
        let since_epoch_ms = unix_ms.saturating_sub(EPOCH_UNIX_MS);
        let next_sequence = self.next_sequence.load(Ordering::Relaxed);
        First {
            sequence: next_sequence.max(since_epoch_ms / SEQUENCE_STEP_MS),
            discontinuity: last_discontinuity
                .map_or(0, |last| last.saturating_add(1))
                .max(unix_ms / DISCONTINUITY_STEP_MS % DISCONTINUITY_WRAP),
        }
    }

    /// A playlist has reached this number.
    pub fn note(&self, next_sequence: u64) {
        self.next_sequence.fetch_max(next_sequence, Ordering::Relaxed);
    }
}

/// The wall clock: milliseconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "what is dated for viewers and over restarts is the wall clock's"
)]
#[cfg(test)]
mod tests {
    use super::*;

    const NOW_UNIX_MS: u64 = EPOCH_UNIX_MS + 200_000_000_000;

    #[test]
    fn a_later_start_begins_above_all_that_an_earlier_process_can_have_reached() {
        let earlier = SequenceAllocator::default().first(NOW_UNIX_MS, None);
        let segments_in_an_hour = 3_600_000 / SEQUENCE_STEP_MS;
        let later = SequenceAllocator::default().first(NOW_UNIX_MS + 3_600_000, None);
        assert!(later.sequence >= earlier.sequence + segments_in_an_hour);
        assert!(later.discontinuity > earlier.discontinuity);
        assert!(later.sequence < 1 << 31);
        assert!(later.discontinuity < DISCONTINUITY_WRAP);
    }

    #[test]
    fn a_node_that_takes_over_seconds_later_begins_at_another_discontinuity() {
        let [old, new] =
            [0, DISCONTINUITY_STEP_MS].map(|ms| SequenceAllocator::default().first(NOW_UNIX_MS + ms, None));
        assert_eq!(new.discontinuity, old.discontinuity + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_number_back() {
        let sequences = SequenceAllocator::default();
        let first = sequences.first(NOW_UNIX_MS, None);
        sequences.note(first.sequence + 7);
        sequences.note(first.sequence + 3);
        let second = sequences.first(0, Some(first.discontinuity + 2));
        assert_eq!(second.sequence, first.sequence + 7);
        assert_eq!(second.discontinuity, first.discontinuity + 3);
    }
}
