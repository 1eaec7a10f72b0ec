//! The store of a node that is alone: claims in memory.

use std::{cell::RefCell, rc::Rc};

use futures::{
    FutureExt,
    future::{LocalBoxFuture, ready},
};
use synctv_media::{
    access::PublisherProof,
    cluster::{
        claims::{ClaimAnswer, ClaimRequest, ClaimTable, Lease, NodeAddresses, RenewAnswer},
        process::Process,
        standing::NodeStanding,
    },
    stream::room::RoomName,
};

use super::{
    origin::{Origin, PublishedRoom},
    store::{Claim, ClaimError, Granted, Store, StoreError, UsedClaim},
};
use crate::{clock::unix_ms, upgrade::states::ClaimsState};

/// Claims of one process, which end with it. Cloning gives another handle to the same claims.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    process: Process,
    table: Rc<RefCell<ClaimTable>>,
}

impl EmbeddedStore {
    /// An empty store of the node `node_id`.
    pub fn new(node_id: String) -> Self {
        Self::from_sequence(node_id, 0)
    }

    /// An empty store that gives no HLS number below this one: an earlier process has.
    pub fn from_sequence(node_id: String, first_sequence: u64) -> Self {
        let process = Process { node: node_id, incarnation: 0 };
        let mut table = ClaimTable::from_sequence(first_sequence);
        let addresses = NodeAddresses { rtmp: String::new(), httpflv: String::new(), hls: None };
        let lease = Lease { incarnation: process.incarnation, addresses, standing: NodeStanding::default() };
        table.renew_lease(&process.node, &lease, None, u64::MAX, unix_ms());
        Self { process, table: Rc::new(RefCell::new(table)) }
    }

    /// The store of a process that is upgraded in place, with its claims and the numbers of released rooms.
    pub fn resumed(node_id: String, first_sequence: u64, claims: &ClaimsState) -> Self {
        let store = Self::from_sequence(node_id, first_sequence);
        for claim in claims.released.iter().map(|released| &released.claim) {
            let request = store.try_claim(&claim.room, claim.epoch);
            store.table.borrow_mut().resume_released(&request, &claim.numbers.in_use(), unix_ms());
        }
        for claim in &claims.held {
            let request = store.try_claim(&claim.room, claim.epoch);
            store.table.borrow_mut().resume(
                &request,
                &claim.numbers.in_use(),
                claim.since_unix_ms,
                unix_ms(),
            );
        }
        store
    }

    fn take(&self, room: &RoomName) -> Result<Granted, ClaimError> {
        let now_ms = unix_ms();
        let mut table = self.table.borrow_mut();
        // The epochs of an earlier process are not remembered, so they can begin at 1.
        let epoch = table.next_epoch(0, 0);
        let refused = |reason: &str| Err(ClaimError::Unavailable { reason: reason.to_owned() });
        match table.try_claim(&self.try_claim(room, epoch), None, now_ms) {
            ClaimAnswer::Granted(numbers) => {
                Ok(Granted { claim: Claim { room: room.clone(), epoch }, numbers })
            }
            ClaimAnswer::Held(holder) => Err(ClaimError::Taken { node: holder.process.node }),
            ClaimAnswer::Late => refused("the claim came too late"),
            ClaimAnswer::NoLease => refused("this node's lease has expired"),
        }
    }

    fn is_lost(&self, UsedClaim { claim, used }: &UsedClaim) -> bool {
        let request = self.try_claim(&claim.room, claim.epoch);
        self.table.borrow_mut().renew(&request, used, unix_ms()) == RenewAnswer::Lost
    }

    /// There is one asker, and no request is ever late.
    fn try_claim(&self, room: &RoomName, epoch: u64) -> ClaimRequest {
        ClaimRequest { room: room.clone(), process: self.process.clone(), epoch, valid_until_ms: u64::MAX }
    }
}

/// Each call has taken effect when it returns, whether or not its future is awaited.
impl Store for EmbeddedStore {
    fn node(&self) -> String {
        self.process.node.clone()
    }

    fn claim(
        &self,
        room: &RoomName,
        _: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        ready(self.take(room)).boxed_local()
    }

    fn renew(&self, mut claims: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        claims.retain(|claim| self.is_lost(claim));
        ready(Ok(claims.into_iter().map(|lost| lost.claim).collect())).boxed_local()
    }

    fn reserve(
        &self,
        UsedClaim { claim, used }: UsedClaim,
    ) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        let request = self.try_claim(&claim.room, claim.epoch);
        ready(Ok(self.table.borrow_mut().reserve(&request, &used, unix_ms()))).boxed_local()
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.table.borrow_mut().release(&claim.room, &self.process, claim.epoch, unix_ms());
        ready(Ok(())).boxed_local()
    }

    fn locate(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        ready(Ok(None)).boxed_local()
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        let table = self.table.borrow();
        let published = table.rooms().map(|(room, holder, since_unix_ms)| PublishedRoom {
            room: room.clone(),
            node: holder.process.node.clone(),
            since_unix_ms,
        });
        ready(Ok(published.collect())).boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::cluster::numbers::RESERVE;

    use super::*;
    use crate::{
        testing::room,
        upgrade::states::{ClaimState, NumbersState, ReleasedState},
    };

    #[test]
    fn numbers_of_a_room_that_was_given_back_go_on_behind_an_upgrade() {
        let numbers = NumbersState {
            first_sequence: 100,
            limit_sequence: 150,
            limit_discontinuity: 20,
            ..NumbersState::default()
        };
        let claim = ClaimState { room: room("r"), epoch: 5, since_unix_ms: 0, numbers };
        let released = vec![ReleasedState { claim, released_ago_ms: 1_000 }];
        let state = ClaimsState { held: Vec::new(), released };
        let store = EmbeddedStore::resumed("n".to_owned(), 0, &state);
        assert!(store.rooms().now_or_never().unwrap().unwrap().is_empty(), "the room is free");
        let granted = store.take(&room("r")).unwrap();
        assert!(granted.claim.epoch > 5, "the epoch that the playlist knows is another publisher's");
        let first = granted.numbers.first;
        assert_eq!((first.sequence, first.discontinuity, granted.numbers.continues), (150, 20, true));
        assert!(granted.numbers.limit.sequence <= 150 + RESERVE);
    }
}
