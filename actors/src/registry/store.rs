//! What the registry asks of a store of claims.

use futures::future::LocalBoxFuture;
use synctv_media::room::RoomName;
use thiserror::Error;

use super::{
    ClaimError,
    origin::{Origin, PublishedRoom},
};

/// A room, taken by one node.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Keeps claims for all nodes that share it. A method's work is all in the future that it gives.
pub trait Store: 'static {
    /// Takes `room` for this node, unless someone else has it.
    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>>;

    /// Keeps `claims` alive. Gives those that are no longer this node's.
    fn renew(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>>;

    /// Gives `claim` back, if it is still this node's.
    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>>;

    /// The other node that publishes `room`, if there is one.
    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>>;

    /// All rooms that are published, on this node and on others.
    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>>;
}
