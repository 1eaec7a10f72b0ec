//! Numbers of a playlist that goes on after an upgrade, until its publisher's claim is known again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use synctv_media::{cluster::numbers::HlsNumbers, stream::room::RoomName};

use super::{NumberReserve, Shared};
use crate::cluster::store::Claim;

/// The numbers of a claim as plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReserveState {
    epoch: u64,
    next: HlsNumbers,
    limit_sequence: u64,
}

impl NumberReserve {
    /// The numbers as plain data.
    pub(crate) fn state(&self) -> ReserveState {
        let limit_sequence = self.shared.limit.load(Ordering::Relaxed);
        ReserveState { epoch: self.epoch(), next: self.next(), limit_sequence }
    }

    /// The numbers that were left. As those of a claim that has ended, no more than was reserved may be used.
    pub(crate) fn detached(room: RoomName, state: ReserveState) -> Self {
        let shared = Shared {
            next_sequence: AtomicU64::new(state.next.sequence),
            next_discontinuity: AtomicU64::new(state.next.discontinuity),
            limit: AtomicU64::new(state.limit_sequence),
            has_ended: AtomicBool::new(true),
        };
        let claim = Claim { room, epoch: state.epoch };
        Self { claim, continues: true, shared: Arc::new(shared), registry: None }
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::cluster::numbers::RESERVE;

    use super::*;
    use crate::testing::room;

    #[test]
    fn of_detached_numbers_no_more_may_be_used_than_was_reserved() {
        let first = HlsNumbers { sequence: 1_000, discontinuity: 10 };
        let reserve = NumberReserve::unmanaged_at(5, first, true);
        reserve.note_next(first.plus(3));
        let detached = NumberReserve::detached(room("room"), reserve.state());
        assert_eq!((detached.epoch(), detached.next()), (5, first.plus(3)));
        let limit = first.sequence + RESERVE;
        assert!(detached.may_use(limit - 1) && !detached.may_use(limit) && reserve.may_use(limit));
    }
}
