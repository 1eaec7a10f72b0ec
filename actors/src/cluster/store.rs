//! The interface of a store of claims to the registry.

use std::time::Duration;

use futures::{
    FutureExt,
    future::{LocalBoxFuture, ready, try_join_all},
};
use synctv_media::{
    access::PublisherProof,
    cluster::{
        claims::{LeaseAnswer, TableId},
        numbers::{HlsNumbers, NumberGrant, NumberUse, RESERVE},
    },
    stream::room::RoomName,
};
use thiserror::Error;

use super::origin::{LiveNode, Origin, PublishedRoom, Trace};
use crate::clock::unix_ms;

/// A room, taken by one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The room.
    pub room: RoomName,
    /// Higher than that of every earlier claim: the holder of a lower one has lost the room.
    pub epoch: u64,
}

/// A claim that was won, and the HLS numbers that come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The claim.
    pub claim: Claim,
    /// The numbers with which the room's playlist continues.
    pub numbers: NumberGrant,
}

/// The numbers of a store that keeps none.
impl From<Claim> for Granted {
    fn from(claim: Claim) -> Self {
        let first = HlsNumbers::of_clock(unix_ms());
        Self { claim, numbers: NumberGrant { first, limit: first.plus(RESERVE), continues: false } }
    }
}

/// A claim, and the HLS numbers that are used under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedClaim {
    /// The claim.
    pub claim: Claim,
    /// The numbers.
    pub used: NumberUse,
}

/// A lease that was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRenewal {
    /// The outcome of the renewal.
    pub answer: LeaseAnswer,
    /// The memory of the table that says so.
    pub table: TableId,
    /// The store takes no new claims, for lack of room.
    pub is_full: bool,
}

/// The rows that a store has under this node's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// Claims of this process.
    pub claims: Vec<Claim>,
    /// A claim that this node has is not there, or not shown.
    pub is_incomplete: bool,
}

/// The reason a store did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// The reason a room could not be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Someone publishes this room.
    #[error("the room is published through node {node}")]
    Taken {
        /// The node of the one who does.
        node: String,
    },
    /// The registry cannot say.
    #[error("the registry does not take new rooms now: {reason}")]
    Unavailable {
        /// The error.
        reason: String,
    },
}

/// Keeps claims for all nodes that share it.
///
/// A room is claimed only while this node has no claim there, and none is being given back. Futures are not dropped
/// before they end. A claim that ends with an error is given back by the store if it was granted after all.
pub trait Store: 'static {
    /// This node's name, for others that ask where a room is.
    fn node(&self) -> String {
        "this one".to_owned()
    }

    /// Takes `room` for this node, unless someone else has it, or it is reserved for another publisher than the one of
    /// `proof`.
    fn claim(
        &self,
        room: &RoomName,
        proof: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>>;

    /// Reserves the room of `claim` for the publisher of `proof`, on all nodes and for so long. Returns whether it is
    /// reserved. A store that does not share its rooms reserves none: there is no other node to go to.
    fn offer(
        &self,
        _: Claim,
        _: PublisherProof,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        ready(Ok(false)).boxed_local()
    }

    /// Keeps `claims` alive. Gives those that are no longer this node's.
    fn renew(&self, claims: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>>;

    /// Reserves HLS numbers of a claim, which may have ended. Returns whether they may be used.
    fn reserve(&self, _: UsedClaim) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        ready(Ok(true)).boxed_local()
    }

    /// Gives `claim` back, if it is still this node's. After an error the store keeps trying.
    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>>;

    /// Compares what the store has under this node's name with `claims`, which are what it knows of.
    fn audit(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Audit, StoreError>> {
        ready(Ok(Audit { claims, is_incomplete: false })).boxed_local()
    }

    /// The other, living node that publishes `room`, if there is one.
    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>>;

    /// The same, from nothing that was remembered.
    fn locate_fresh(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        self.locate(room)
    }

    /// Returns the present and the past holder of `room`; `fresh`: without any cached answer.
    fn trace(&self, room: &RoomName, fresh: bool) -> LocalBoxFuture<'static, Result<Trace, StoreError>> {
        let located = if fresh { self.locate_fresh(room) } else { self.locate(room) };
        located.map(|located| located.map(Trace::from)).boxed_local()
    }

    /// All rooms that are published, on this node and on others that are alive.
    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>>;

    /// The other nodes that are alive.
    fn nodes(&self) -> LocalBoxFuture<'static, Result<Vec<LiveNode>, StoreError>> {
        ready(Ok(Vec::new())).boxed_local()
    }

    /// Time that this node counts as alive after its last renewal of the lease; `None` if it needs no lease.
    fn lease_ttl(&self) -> Option<Duration> {
        None
    }

    /// The memory of the table that the node joined.
    fn table_id(&self) -> TableId {
        TableId::default()
    }

    /// Says that this node is alive.
    fn renew_lease(&self) -> LocalBoxFuture<'static, Result<LeaseRenewal, StoreError>> {
        let renewal = LeaseRenewal { answer: LeaseAnswer::Kept, table: self.table_id(), is_full: false };
        ready(Ok(renewal)).boxed_local()
    }

    /// Notes that this node drains. Its lease says so from the next renewal on.
    fn announce_drain(&self) {}

    /// Gives `claims` back and, after them, the lease.
    fn leave(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        try_join_all(claims.into_iter().map(|claim| self.release(claim)))
            .map(|left| left.map(drop))
            .boxed_local()
    }
}
