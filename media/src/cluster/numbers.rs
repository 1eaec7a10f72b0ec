//! HLS numbers of a room: where a playlist goes on when the room comes to another node, and which node has which segments.
//!
//! The table keeps them beside the claim, so that they depend on no node's clock. A node reserves numbers before it uses
//! them; the next holder begins above all that were reserved. Without a row, as in a table that has lost its memory,
//! numbers begin at the table's clock, which gains four a second and is thereby ahead of any playlist in real time.

use serde::{Deserialize, Serialize};

use super::process::Process;

/// 2020-01-01. Counted from here, numbers stay below 2^31 until 2037, beyond which old players do not count.
pub const EPOCH_UNIX_MS: u64 = 1_577_836_800_000;

/// The clock gains a sequence number in this time. Segments are longer, so that no playlist in real time outruns the
/// clock.
pub const SEQUENCE_STEP_MS: u64 = 250;

/// The clock gains a discontinuity in this time.
pub const DISCONTINUITY_STEP_MS: u64 = 4_000;

/// The clock's discontinuities begin anew after so many, three days. hls.js keeps an array that is as long as a number is
/// large and walks it at each playlist: a few milliseconds at this size.
pub const DISCONTINUITY_WRAP: u64 = 1 << 16;

/// Numbers that a holder may use before its first report. It reports when half of them are left.
pub const RESERVE: u64 = 32;

/// Time that a row outlives the moment at which the clock has overtaken its numbers, in milliseconds. From then on a
/// room without a row begins above them as well; the rest is for clocks that are set back.
pub const KEEP_MS: u64 = 3_600_000;

/// Holders that are remembered for their segments.
pub const HOLDERS_MAX: usize = 4;

/// The two counters of a playlist (RFC 8216, sections 4.3.3.2 and 4.3.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HlsNumbers {
    /// The media sequence number of a segment.
    pub sequence: u64,
    /// Its discontinuity sequence number.
    pub discontinuity: u64,
}

/// The numbers for a new holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberGrant {
    /// The first number of a new playlist.
    pub first: HlsNumbers,
    /// The end of what is reserved for it.
    pub limit: HlsNumbers,
    /// The process was the last holder: a playlist that it still has goes on where it is, below `first`.
    pub continues: bool,
}

/// Numbers that a holder uses, as it reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberUse {
    /// The first sequence number under this claim.
    pub first_sequence: u64,
    /// All numbers below are to count as used.
    pub limit: HlsNumbers,
}

/// A process that held the room, and the segments that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberHolder {
    /// The process.
    pub process: Process,
    /// The epoch of its last claim.
    pub epoch: u64,
    /// Its segments have this number or a higher one, up to that of the next holder.
    pub first_sequence: u64,
    /// The time at which it released the room, by the table's clock.
    pub left_ms: Option<u64>,
    /// The address of its HLS port, unless HLS is off there.
    pub hls: Option<String>,
}

/// The table's row of a room's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomNumbers {
    limit: HlsNumbers,
    reported_ms: u64,
    /// Oldest first, never empty.
    holders: Vec<NumberHolder>,
}

impl HlsNumbers {
    /// The numbers of the clock, for an unknown room.
    pub fn of_clock(now_ms: u64) -> Self {
        Self {
            sequence: now_ms.saturating_sub(EPOCH_UNIX_MS) / SEQUENCE_STEP_MS,
            discontinuity: now_ms / DISCONTINUITY_STEP_MS % DISCONTINUITY_WRAP,
        }
    }

    /// The end of a reserve of `size` numbers that begins here. Each segment may be a discontinuity.
    pub fn plus(self, size: u64) -> Self {
        Self {
            sequence: self.sequence.saturating_add(size),
            discontinuity: self.discontinuity.saturating_add(size),
        }
    }

    /// The higher of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            sequence: self.sequence.max(other.sequence),
            discontinuity: self.discontinuity.max(other.discontinuity),
        }
    }

    /// Above what a holder can have used in `elapsed_ms` that it did not report, such as one that was cut off.
    fn after(self, elapsed_ms: u64) -> Self {
        Self {
            sequence: self.sequence.saturating_add(elapsed_ms / SEQUENCE_STEP_MS),
            discontinuity: self.discontinuity.saturating_add(elapsed_ms / DISCONTINUITY_STEP_MS),
        }
    }
}

impl NumberHolder {
    /// A holder that has just won the room, or says so.
    pub fn new(process: Process, epoch: u64, first_sequence: u64, hls: Option<String>) -> Self {
        Self { process, epoch, first_sequence, left_ms: None, hls }
    }
}

impl RoomNumbers {
    /// Grants `taker` the numbers of the room that has this row; `clock` are those of an unknown room. The
    /// taker's first sequence number is filled in.
    pub fn grant(
        row: Option<Self>,
        taker: NumberHolder,
        clock: HlsNumbers,
        now_ms: u64,
    ) -> (Self, NumberGrant) {
        let Some(mut row) = row else {
            let first = clock;
            let holders = vec![NumberHolder { first_sequence: first.sequence, ..taker }];
            let row = Self { limit: first.plus(RESERVE), reported_ms: now_ms, holders };
            let grant = NumberGrant { first, limit: row.limit, continues: false };
            return (row, grant);
        };
        if let Some(last) = row.holders.last_mut().filter(|last| last.process == taker.process) {
            (last.epoch, last.left_ms, last.hls) = (taker.epoch, None, taker.hls);
            let grant = NumberGrant { first: row.limit, limit: row.limit, continues: true };
            return (row, grant);
        }
        let mut first = row.limit.after(now_ms.saturating_sub(row.reported_ms));
        first.sequence = first.sequence.max(clock.sequence);
        row.push(NumberHolder { first_sequence: first.sequence, ..taker });
        (row.limit, row.reported_ms) = (first.plus(RESERVE), now_ms);
        let grant = NumberGrant { first, limit: row.limit, continues: false };
        (row, grant)
    }

    /// Takes a report of `holder` in. `None` if a later claim's numbers are there: they begin above what was reserved, and
    /// the reporter must use nothing beyond that.
    pub fn reserve(row: Option<Self>, holder: NumberHolder, limit: HlsNumbers, now_ms: u64) -> Option<Self> {
        let Some(mut row) = row else {
            return Some(Self { limit, reported_ms: now_ms, holders: vec![holder] });
        };
        let last = row.holders.last()?;
        if last.process != holder.process {
            if last.epoch > holder.epoch {
                return None;
            }
            // A table that went back to an earlier state does not know this holder any more.
            row.push(holder);
        }
        (row.limit, row.reported_ms) = (row.limit.max(limit), now_ms);
        Some(row)
    }

    /// The holder gave the room back: it uses nothing beyond what is reserved from now on.
    pub fn leave(&mut self, process: &Process, now_ms: u64) {
        if let Some(last) = self.holders.last_mut().filter(|last| last.process == *process) {
            last.left_ms = Some(now_ms);
            self.reported_ms = now_ms;
        }
    }

    /// Returns the time from which the row is of no use.
    pub fn expires_ms(&self, now_ms: u64) -> u64 {
        let overtaken_ms = self.limit.sequence.saturating_mul(SEQUENCE_STEP_MS).saturating_add(EPOCH_UNIX_MS);
        overtaken_ms.max(now_ms).saturating_add(KEEP_MS)
    }

    /// The past and present holders of the room, oldest first.
    pub fn holders(&self) -> &[NumberHolder] {
        &self.holders
    }

    fn push(&mut self, holder: NumberHolder) {
        if self.holders.len() >= HOLDERS_MAX {
            self.holders.remove(0);
        }
        self.holders.push(holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = EPOCH_UNIX_MS + 200_000_000_000;

    fn grant(row: Option<RoomNumbers>, taker: NumberHolder, now_ms: u64) -> (RoomNumbers, NumberGrant) {
        RoomNumbers::grant(row, taker, HlsNumbers::of_clock(now_ms), now_ms)
    }

    fn holder(node: &str, epoch: u64) -> NumberHolder {
        let process = Process { node: node.to_owned(), incarnation: 1 };
        NumberHolder::new(process, epoch, 0, None)
    }

    #[test]
    fn a_room_without_a_row_begins_at_the_clock() {
        let (row, grant) = grant(None, holder("a", 1), NOW_MS);
        assert_eq!(grant.first, HlsNumbers::of_clock(NOW_MS));
        assert!(grant.first.sequence < 1 << 31 && grant.first.discontinuity < DISCONTINUITY_WRAP);
        assert_eq!(row.holders()[0].first_sequence, grant.first.sequence);
    }

    #[test]
    fn the_next_holder_begins_above_all_that_was_reserved_whatever_the_clock_says() {
        let (row, first) = grant(None, holder("a", 1), NOW_MS);
        let far = first.limit.plus(5_000);
        let row = RoomNumbers::reserve(Some(row), holder("a", 1), far, NOW_MS + 800).unwrap();
        for now_ms in [NOW_MS + 900, NOW_MS - 60_000] {
            let (_, next) = grant(Some(row.clone()), holder("b", 2), now_ms);
            assert!(next.first.sequence >= far.sequence && next.first.discontinuity >= far.discontinuity);
            assert!(!next.continues);
        }
    }

    #[test]
    fn the_last_holder_goes_on_and_one_that_was_away_does_not() {
        let (row, first) = grant(None, holder("a", 1), NOW_MS);
        let (row, again) = grant(Some(row), holder("a", 2), NOW_MS + 2_000);
        assert_eq!(again, NumberGrant { first: first.limit, limit: first.limit, continues: true });
        let (row, of_b) = grant(Some(row), holder("b", 3), NOW_MS + 4_000);
        let (row, back) = grant(Some(row), holder("a", 4), NOW_MS + 6_000);
        assert!(back.first.sequence >= of_b.limit.sequence && !back.continues);
        let firsts: Vec<u64> = row.holders().iter().map(|holder| holder.first_sequence).collect();
        assert_eq!(firsts, [first.first, of_b.first, back.first].map(|numbers| numbers.sequence));
    }

    #[test]
    fn a_holder_that_could_not_report_is_outrun() {
        let (row, first) = grant(None, holder("a", 1), NOW_MS);
        let outage_ms = 600_000;
        let (_, next) = grant(Some(row), holder("b", 2), NOW_MS + outage_ms);
        let segments_of_a_second = outage_ms / 1_000;
        assert!(next.first.sequence > first.first.sequence + segments_of_a_second);
        assert!(next.first.discontinuity > first.first.discontinuity + RESERVE);
    }

    #[test]
    fn a_report_of_an_earlier_holder_changes_nothing_and_one_of_a_forgotten_holder_is_taken_in() {
        let (row, _) = grant(None, holder("a", 1), NOW_MS);
        let (newer, grant) = grant(Some(row.clone()), holder("b", 2), NOW_MS);
        let far = grant.limit.plus(1_000);
        assert_eq!(RoomNumbers::reserve(Some(newer), holder("a", 1), far, NOW_MS), None);
        let restored = RoomNumbers::reserve(Some(row), holder("b", 2), far, NOW_MS).unwrap();
        assert_eq!((restored.limit, restored.holders().len()), (far, 2));
    }

    #[test]
    fn a_row_is_kept_until_the_clock_has_overtaken_it() {
        let (row, grant) = grant(None, holder("a", 1), NOW_MS);
        let row = RoomNumbers::reserve(Some(row), holder("a", 1), grant.limit.plus(40_000), NOW_MS).unwrap();
        let expires_ms = row.expires_ms(NOW_MS);
        assert!(HlsNumbers::of_clock(expires_ms - KEEP_MS).sequence >= row.limit.sequence);
    }

    #[test]
    fn only_the_last_holders_are_remembered() {
        let mut row = None;
        for epoch in 0..10 {
            let (next, _) = grant(row, holder(&format!("n{epoch}"), epoch), NOW_MS);
            row = Some(next);
        }
        let epochs: Vec<u64> = row.unwrap().holders().iter().map(|holder| holder.epoch).collect();
        assert_eq!(epochs, [6, 7, 8, 9]);
    }
}
