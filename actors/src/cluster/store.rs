//! What the registry asks of a store of claims.

use std::time::Duration;

use futures::{
    FutureExt,
    future::{LocalBoxFuture, ready, try_join_all},
};
use synctv_media::{cluster::claims::LeaseAnswer, stream::room::RoomName};
use thiserror::Error;

use super::origin::{Origin, PublishedRoom};

/// A room, taken by one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The room.
    pub room: RoomName,
    /// Higher than that of every earlier claim: whoever holds a lower one has lost the room.
    pub epoch: u64,
}

/// Why a store did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Why a room could not be claimed.
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
        /// What went wrong.
        reason: String,
    },
}

/// Keeps claims for all nodes that share it.
///
/// A room is claimed only while this node has no claim there, and none is being given back. Futures are not dropped
/// before they end. A claim that ends with an error is given back by the store if it was granted after all.
pub trait Store: 'static {
    /// This node's name, for those who are told that it has a room.
    fn node(&self) -> String {
        "this one".to_owned()
    }

    /// Takes `room` for this node, unless someone else has it.
    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>>;

    /// Keeps `claims` alive. Gives those that are no longer this node's.
    fn renew(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>>;

    /// Gives `claim` back, if it is still this node's. After an error the store keeps trying.
    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>>;

    /// The other, living node that publishes `room`, if there is one.
    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>>;

    /// The same, from nothing that was remembered.
    fn locate_fresh(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        self.locate(room)
    }

    /// All rooms that are published, on this node and on others that are alive.
    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>>;

    /// How long this node counts as alive after it last renewed its lease; `None` if it needs no lease.
    fn lease_ttl(&self) -> Option<Duration> {
        None
    }

    /// Says that this node is alive.
    fn renew_lease(&self) -> LocalBoxFuture<'static, Result<LeaseAnswer, StoreError>> {
        ready(Ok(LeaseAnswer::Kept)).boxed_local()
    }

    /// Gives `claims` back and, after them, the lease.
    fn leave(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        try_join_all(claims.into_iter().map(|claim| self.release(claim)))
            .map(|left| left.map(drop))
            .boxed_local()
    }
}
