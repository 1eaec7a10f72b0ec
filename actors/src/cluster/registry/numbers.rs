//! HLS numbers on this node: what its claims may use, and what was used.

mod detached;
mod upgrade;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Message, Recipient};
use synctv_media::{
    cluster::numbers::{HlsNumbers, NumberGrant, NumberUse, RESERVE},
    stream::room::RoomName,
};
use tokio::time::Instant;

pub(crate) use self::detached::ReserveState;
use crate::cluster::store::{Claim, UsedClaim};

/// Reports that follow each other faster than this ask for twice as much each time: a file that is pushed as fast as the
/// network takes it has thousands of segments a second.
const BURST_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum numbers reserved at once.
const RESERVE_MAX: u64 = 4096;

/// Time that numbers of a released room are remembered, for a store that lost them.
const KEEP_RELEASED: Duration = Duration::from_secs(600);

/// Rooms that were given back and are remembered.
const RELEASED_MAX: usize = 10_000;

/// The HLS numbers that come with a claim: where the room's playlist goes on, and the way to reserve more.
#[derive(Debug, Clone)]
pub struct NumberReserve {
    claim: Claim,
    continues: bool,
    shared: Arc<Shared>,
    registry: Option<Recipient<UseNumbers>>,
}

/// The state that the registry shares with the users of the numbers.
#[derive(Debug)]
pub(super) struct Shared {
    next_sequence: AtomicU64,
    next_discontinuity: AtomicU64,
    /// Sequence numbers below it are reserved.
    limit: AtomicU64,
    /// The claim is given back, or lost.
    has_ended: AtomicBool,
}

/// Numbers are used up to `next`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(super) struct UseNumbers {
    pub claim: Claim,
    pub next: HlsNumbers,
}

/// The numbers that this node's claims use.
#[derive(Default)]
pub(super) struct NumberKeeper(HashMap<RoomName, Used>);

struct Used {
    epoch: u64,
    first_sequence: u64,
    continues: bool,
    next: HlsNumbers,
    limit: HlsNumbers,
    shared: Arc<Shared>,
    size: u64,
    asked: Option<Instant>,
    is_asking: bool,
    released: Option<Instant>,
}

impl NumberReserve {
    pub(super) fn new(claim: Claim, grant: NumberGrant, registry: Option<Recipient<UseNumbers>>) -> Self {
        let shared = Shared {
            next_sequence: AtomicU64::new(grant.first.sequence),
            next_discontinuity: AtomicU64::new(grant.first.discontinuity),
            limit: AtomicU64::new(grant.limit.sequence),
            has_ended: AtomicBool::new(false),
        };
        Self { claim, continues: grant.continues, shared: Arc::new(shared), registry }
    }

    /// A reserve of which no registry hears.
    #[cfg(test)]
    pub(crate) fn unmanaged(first: HlsNumbers, continues: bool) -> Self {
        Self::unmanaged_at(1, first, continues)
    }

    /// The same of a claim with this epoch.
    #[cfg(test)]
    pub(crate) fn unmanaged_at(epoch: u64, first: HlsNumbers, continues: bool) -> Self {
        let claim = Claim { room: crate::testing::room("room"), epoch };
        Self::new(claim, NumberGrant { first, limit: first.plus(RESERVE), continues }, None)
    }

    /// Ends the claim, as the registry does.
    #[cfg(test)]
    pub(crate) fn end_for_test(&self) {
        self.shared.has_ended.store(true, Ordering::Release);
    }

    /// The first number of a new playlist: above all that were used under this claim.
    pub fn next(&self) -> HlsNumbers {
        HlsNumbers {
            sequence: self.shared.next_sequence.load(Ordering::Relaxed),
            discontinuity: self.shared.next_discontinuity.load(Ordering::Relaxed),
        }
    }

    /// The epoch of the claim that they come with.
    pub fn epoch(&self) -> u64 {
        self.claim.epoch
    }

    /// Returns whether this process's playlist of the room goes on: no other process has used numbers since.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Returns whether a segment may have this number. While the claim lasts, no other node uses any; then only the
    /// reserved ones are left, which is enough for the rest of the publisher's media.
    pub fn may_use(&self, sequence: u64) -> bool {
        self.has_reserved(sequence) || !self.shared.has_ended.load(Ordering::Acquire)
    }

    /// Reports that `next` are the numbers of the next segment. More are reserved in time.
    pub fn note_next(&self, next: HlsNumbers) {
        self.shared.next_sequence.fetch_max(next.sequence, Ordering::Relaxed);
        self.shared.next_discontinuity.fetch_max(next.discontinuity, Ordering::Relaxed);
        let is_scarce = !self.has_reserved(next.sequence.saturating_add(RESERVE / 2));
        if let Some(registry) = self.registry.as_ref().filter(|_| is_scarce) {
            registry.do_send(UseNumbers { claim: self.claim.clone(), next });
        }
    }

    fn has_reserved(&self, sequence: u64) -> bool {
        sequence < self.shared.limit.load(Ordering::Relaxed)
    }
}

impl NumberKeeper {
    /// A claim was won with these numbers.
    pub fn granted(&mut self, NumberReserve { claim, shared, .. }: &NumberReserve, grant: NumberGrant) {
        let used = Used {
            epoch: claim.epoch,
            first_sequence: grant.first.sequence,
            continues: grant.continues,
            next: grant.first,
            limit: grant.limit,
            shared: shared.clone(),
            size: RESERVE,
            asked: None,
            is_asking: false,
            released: None,
        };
        self.0.insert(claim.room.clone(), used);
    }

    /// Takes a report in. Returns what to reserve now.
    pub fn used(&mut self, UseNumbers { claim, next }: UseNumbers, now: Instant) -> Option<UsedClaim> {
        let used = self.0.get_mut(&claim.room).filter(|used| used.epoch == claim.epoch)?;
        used.next = used.next.max(next);
        if used.is_asking {
            return None;
        }
        let is_burst = used.asked.is_some_and(|asked| now.duration_since(asked) < BURST_INTERVAL);
        used.size = if is_burst { used.size.saturating_mul(2).min(RESERVE_MAX) } else { RESERVE };
        (used.asked, used.is_asking) = (Some(now), true);
        let limit = used.next.plus(used.size);
        Some(UsedClaim { claim, used: NumberUse { first_sequence: used.first_sequence, limit } })
    }

    /// The store's answer to a reserve: whether the numbers may be used, or `None` if it gave none.
    pub fn reserved(&mut self, UsedClaim { claim, used: reserve }: &UsedClaim, may_use: Option<bool>) {
        let used = self.0.get_mut(&claim.room).filter(|used| used.epoch == claim.epoch);
        let Some(used) = used else { return };
        // A number that was refused once belongs to others for ever.
        used.is_asking = may_use == Some(false);
        if may_use == Some(true) {
            used.limit = used.limit.max(reserve.limit);
            used.shared.limit.fetch_max(reserve.limit.sequence, Ordering::Relaxed);
        }
    }

    /// The numbers that `claim` uses, for a store that may have lost them.
    pub fn use_of(&self, claim: &Claim) -> NumberUse {
        match self.0.get(&claim.room).filter(|used| used.epoch == claim.epoch) {
            Some(used) => used.in_use(),
            None => NumberUse { first_sequence: 0, limit: HlsNumbers::default() },
        }
    }

    /// The claim ended.
    pub fn released(&mut self, claim: &Claim, now: Instant) {
        if let Some(used) = self.0.get_mut(&claim.room).filter(|used| used.epoch == claim.epoch) {
            used.released = Some(now);
            used.shared.has_ended.store(true, Ordering::Release);
        }
        let released = self.0.values().filter(|used| used.released.is_some()).count();
        if released > RELEASED_MAX {
            self.0.retain(|_, used| used.released.is_none());
        }
    }

    /// The numbers that ended claims have used, for a store that may have lost them.
    pub fn used_before(&self) -> Vec<UsedClaim> {
        let ended = self.0.iter().filter(|(_, used)| used.released.is_some());
        let used = ended.map(|(room, used)| UsedClaim {
            claim: Claim { room: room.clone(), epoch: used.epoch },
            used: used.in_use(),
        });
        used.collect()
    }

    /// Forgets what is too old to be of use.
    pub fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, used| {
            used.released.is_none_or(|released| now.duration_since(released) < KEEP_RELEASED)
        });
    }
}

impl Used {
    fn in_use(&self) -> NumberUse {
        let limit = self.limit.max(self.next.plus(RESERVE));
        NumberUse { first_sequence: self.first_sequence, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    const FIRST: HlsNumbers = HlsNumbers { sequence: 1_000, discontinuity: 10 };

    fn keeper() -> (NumberKeeper, NumberReserve) {
        let grant = NumberGrant { first: FIRST, limit: FIRST.plus(RESERVE), continues: false };
        let reserve = NumberReserve::new(Claim { room: room("r"), epoch: 5 }, grant, None);
        let mut keeper = NumberKeeper::default();
        keeper.granted(&reserve, grant);
        (keeper, reserve)
    }

    fn report(keeper: &mut NumberKeeper, count: u64, now: Instant) -> Option<UsedClaim> {
        let claim = Claim { room: room("r"), epoch: 5 };
        keeper.used(UseNumbers { claim, next: FIRST.plus(count) }, now)
    }

    #[test]
    fn what_is_reserved_may_be_used_once_the_store_said_so() {
        let ((mut keeper, reserve), now) = (keeper(), Instant::now());
        let asked = report(&mut keeper, 20, now).unwrap();
        assert_eq!(asked.used.limit, FIRST.plus(20 + RESERVE));
        assert!(report(&mut keeper, 21, now).is_none(), "one question at a time");
        assert!(!reserve.has_reserved(FIRST.sequence + RESERVE));
        keeper.reserved(&asked, Some(true));
        assert!(reserve.has_reserved(FIRST.sequence + RESERVE));
        assert!(!reserve.has_reserved(asked.used.limit.sequence));
    }

    #[test]
    fn when_the_claim_has_ended_nothing_is_used_that_was_not_reserved() {
        let (mut keeper, reserve) = keeper();
        let limit = FIRST.sequence + RESERVE;
        assert!(reserve.may_use(limit), "a store that is slow stops no stream");
        keeper.released(&Claim { room: room("r"), epoch: 5 }, Instant::now());
        assert!(reserve.may_use(limit - 1) && !reserve.may_use(limit));
    }

    #[test]
    fn a_second_playlist_under_one_claim_begins_above_the_first() {
        let (_, reserve) = keeper();
        assert_eq!(reserve.next(), FIRST);
        reserve.note_next(FIRST.plus(7));
        reserve.note_next(FIRST.plus(3));
        assert_eq!(reserve.next(), FIRST.plus(7));
    }

    #[test]
    fn a_burst_reserves_more_each_time_up_to_a_bound() {
        let ((mut keeper, _), now) = (keeper(), Instant::now());
        let mut sizes = Vec::new();
        for _ in 0..12 {
            let asked = report(&mut keeper, 20, now).unwrap();
            sizes.push(asked.used.limit.sequence - FIRST.sequence - 20);
            keeper.reserved(&asked, Some(true));
        }
        assert_eq!(sizes[..3], [RESERVE, 2 * RESERVE, 4 * RESERVE]);
        assert_eq!(sizes.last(), Some(&RESERVE_MAX));
        let later = report(&mut keeper, 20, now + BURST_INTERVAL).unwrap();
        assert_eq!(later.used.limit, FIRST.plus(20 + RESERVE));
    }

    #[test]
    fn a_store_that_does_not_answer_is_asked_again_and_one_that_refuses_is_not() {
        let ((mut keeper, _), now) = (keeper(), Instant::now());
        let asked = report(&mut keeper, 20, now).unwrap();
        keeper.reserved(&asked, None);
        let asked = report(&mut keeper, 20, now).unwrap();
        keeper.reserved(&asked, Some(false));
        assert!(report(&mut keeper, 20, now).is_none());
    }

    #[test]
    fn what_an_ended_claim_used_is_remembered_for_a_while() {
        let ((mut keeper, _), now) = (keeper(), Instant::now());
        report(&mut keeper, 100, now);
        assert_eq!(keeper.used_before(), []);
        keeper.released(&Claim { room: room("r"), epoch: 5 }, now);
        assert_eq!(keeper.used_before()[0].used.limit, FIRST.plus(100 + RESERVE));
        keeper.sweep(now + KEEP_RELEASED);
        assert_eq!(keeper.used_before(), []);
    }
}
