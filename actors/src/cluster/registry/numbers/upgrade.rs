//! HLS numbers over an upgrade in place.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use actix::Recipient;
use synctv_media::cluster::numbers::{HlsNumbers, RESERVE};
use tokio::time::Instant;

use super::{NumberKeeper, NumberReserve, Shared, UseNumbers, Used};
use crate::{
    cluster::store::Claim,
    upgrade::{
        moment::{age_ms, instant_of_age},
        states::{ClaimState, NumbersState, ReleasedState},
    },
};

impl NumberKeeper {
    /// The state of a claim and its numbers.
    pub fn parked(&self, claim: &Claim) -> ClaimState {
        let used = self.0.get(&claim.room).filter(|used| used.epoch == claim.epoch);
        let numbers = used.map(Used::state).unwrap_or_default();
        ClaimState { room: claim.room.clone(), epoch: claim.epoch, since_unix_ms: 0, numbers }
    }

    /// The numbers of released rooms.
    pub fn parked_released(&self, now: Instant) -> Vec<ReleasedState> {
        let released = self.0.iter().filter_map(|(room, used)| {
            let claim = Claim { room: room.clone(), epoch: used.epoch };
            Some(ReleasedState { claim: self.parked(&claim), released_ago_ms: age_ms(used.released?, now) })
        });
        released.collect()
    }

    /// Restores the numbers of a released room: those beyond its reserve may not be used.
    pub fn resume_released(
        &mut self,
        ReleasedState { claim, released_ago_ms }: &ReleasedState,
        now: Instant,
    ) {
        let used = Used {
            released: Some(instant_of_age(*released_ago_ms, now)),
            ..Used::of_state(claim.epoch, &claim.numbers)
        };
        used.shared.has_ended.store(true, Ordering::Release);
        self.0.insert(claim.room.clone(), used);
    }

    /// Goes on with the numbers of a claim.
    pub fn resume(&mut self, claim: &ClaimState) {
        self.0.insert(claim.room.clone(), Used::of_state(claim.epoch, &claim.numbers));
    }

    /// The state that the users of a claim's numbers share, and whether their playlist goes on.
    pub fn shared(&self, claim: &Claim) -> Option<(Arc<Shared>, bool)> {
        let used = self.0.get(&claim.room).filter(|used| used.epoch == claim.epoch)?;
        Some((used.shared.clone(), used.continues))
    }
}

impl NumberReserve {
    /// Another handle to numbers that are in use.
    pub(in crate::cluster::registry) fn of_shared(
        claim: Claim,
        continues: bool,
        shared: Arc<Shared>,
        registry: Recipient<UseNumbers>,
    ) -> Self {
        Self { claim, continues, shared, registry: Some(registry) }
    }
}

impl Used {
    /// The numbers that were used are those that the playlists have reported, which is more than the registry has heard.
    fn state(&self) -> NumbersState {
        NumbersState {
            first_sequence: self.first_sequence,
            next_sequence: self.shared.next_sequence.load(Ordering::Relaxed).max(self.next.sequence),
            next_discontinuity: self
                .shared
                .next_discontinuity
                .load(Ordering::Relaxed)
                .max(self.next.discontinuity),
            limit_sequence: self.limit.sequence,
            limit_discontinuity: self.limit.discontinuity,
            continues: self.continues,
        }
    }

    fn of_state(epoch: u64, state: &NumbersState) -> Self {
        let next = HlsNumbers { sequence: state.next_sequence, discontinuity: state.next_discontinuity };
        let limit = HlsNumbers { sequence: state.limit_sequence, discontinuity: state.limit_discontinuity };
        let shared = Shared {
            next_sequence: AtomicU64::new(next.sequence),
            next_discontinuity: AtomicU64::new(next.discontinuity),
            limit: AtomicU64::new(limit.sequence),
            has_ended: AtomicBool::new(false),
        };
        Self {
            epoch,
            first_sequence: state.first_sequence,
            continues: state.continues,
            next,
            limit,
            shared: Arc::new(shared),
            size: RESERVE,
            asked: None,
            is_asking: false,
            released: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::cluster::numbers::NumberGrant;

    use super::*;
    use crate::{cluster::registry::numbers::KEEP_RELEASED, testing::room};

    /// A claim, its numbers, and a keeper that knows of both.
    fn granted() -> (Claim, NumberReserve, NumberKeeper) {
        let first = HlsNumbers { sequence: 1_000, discontinuity: 10 };
        let claim = Claim { room: room("r"), epoch: 5 };
        let grant = NumberGrant { first, limit: first.plus(RESERVE), continues: true };
        let reserve = NumberReserve::new(claim.clone(), grant, None);
        let mut keeper = NumberKeeper::default();
        keeper.granted(&reserve, grant);
        (claim, reserve, keeper)
    }

    #[test]
    fn numbers_go_on_where_the_playlist_is_and_what_was_reserved_stays_so() {
        let (claim, reserve, before) = granted();
        let first = reserve.next();
        reserve.note_next(first.plus(7));
        let mut after = NumberKeeper::default();
        after.resume(&before.parked(&claim));
        let (shared, continues) = after.shared(&claim).unwrap();
        let resumed = NumberReserve { claim: claim.clone(), continues, shared, registry: None };
        assert_eq!((resumed.next(), resumed.continues()), (first.plus(7), true));
        assert!(resumed.has_reserved(first.sequence + RESERVE - 1));
        assert!(!resumed.has_reserved(first.sequence + RESERVE));
        assert_eq!(after.use_of(&claim).first_sequence, first.sequence);
        assert!(after.shared(&Claim { epoch: 6, ..claim }).is_none());
    }

    #[test]
    fn the_numbers_of_a_room_that_was_given_back_stay_used() {
        let (claim, _reserve, mut before) = granted();
        before.released(&claim, Instant::now());
        let now = Instant::now();
        let released = before.parked_released(now);
        assert_eq!(released.len(), 1);
        let mut after = NumberKeeper::default();
        after.resume_released(&released[0], now);
        assert_eq!(after.used_before(), before.used_before());
        after.sweep(now + KEEP_RELEASED);
        assert_eq!(after.used_before(), []);
    }
}
