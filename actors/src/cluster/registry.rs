//! Who publishes what: the node's claims on rooms, its lease, and the heartbeats that keep them.

mod actor;
mod lookups;
pub mod numbers;

use std::time::Duration;

use actix::{Addr, Arbiter, Message, Recipient, Supervisor};
use actix_rt::ArbiterHandle;
use synctv_media::stream::room::RoomName;
use thiserror::Error;

pub use self::actor::RegistryActor;
use self::{
    actor::{AskReadiness, ClaimRoom, Leave, ListRooms, Locate, Ping, ReleaseRoom, TraceRoom},
    numbers::NumberReserve,
};
use crate::cluster::{
    origin::{Origin, PublishedRoom, Trace},
    store::{Claim, Store, StoreError},
};

/// How long a claim may take before it counts as refused. Publishers wait for it.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);

/// How long giving everything back may take when the node stops. What is left then expires.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

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

/// A room that is this node's.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The HLS numbers that come with it.
    pub numbers: NumberReserve,
}

/// Told to the owner of a claim that is no longer its own.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ClaimLost {
    /// The claim's epoch.
    pub epoch: u64,
}

/// Whether new rooms are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They are.
    Ready,
    /// They are not, for now.
    NotReady {
        /// Why.
        reason: String,
    },
}

/// Talks to the [`RegistryActor`].
#[derive(Debug, Clone)]
pub struct RegistryHandle(Addr<RegistryActor>);

impl RegistryHandle {
    /// Starts the registry on a thread of its own. `store` is built there.
    pub fn start<S: Store>(heartbeat: Duration, store: impl FnOnce() -> S + Send + 'static) -> Self {
        Self::start_on(&Arbiter::new().handle(), heartbeat, store)
    }

    pub(crate) fn start_on<S: Store>(
        arbiter: &ArbiterHandle,
        heartbeat: Duration,
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        Self(Supervisor::start_in_arbiter(arbiter, move |_| RegistryActor::new(store(), heartbeat)))
    }

    /// Claims `room` for `owner`, who is told if the claim is lost later.
    pub async fn claim(&self, room: RoomName, owner: Recipient<ClaimLost>) -> Result<Claimed, ClaimError> {
        let answer = self.0.send(ClaimRoom { room, owner }).await;
        answer.unwrap_or_else(|gone| Err(ClaimError::Unavailable { reason: gone.to_string() }))
    }

    /// Gives a claim back.
    pub fn release(&self, claim: Claim) {
        self.0.do_send(ReleaseRoom(claim));
    }

    /// The other node that publishes `room`, if there is one that is alive. The answer may be a second old.
    pub async fn locate(&self, room: RoomName) -> Result<Option<Origin>, StoreError> {
        self.look_up(room, false).await
    }

    /// Like [`locate`](Self::locate), from nothing that was remembered: for those who found an answer wrong.
    pub async fn locate_fresh(&self, room: RoomName) -> Result<Option<Origin>, StoreError> {
        self.look_up(room, true).await
    }

    async fn look_up(&self, room: RoomName, fresh: bool) -> Result<Option<Origin>, StoreError> {
        self.0.send(Locate { room, fresh }).await.unwrap_or_else(|gone| Err(StoreError(gone.to_string())))
    }

    /// Where `room` is and was. The answer may be a second old.
    pub async fn trace(&self, room: RoomName) -> Result<Trace, StoreError> {
        self.0.send(TraceRoom(room)).await.unwrap_or_else(|gone| Err(StoreError(gone.to_string())))
    }

    /// All rooms that are published, on this node and on others, in no order. The answer may be a second old.
    pub async fn rooms(&self) -> Result<Vec<PublishedRoom>, StoreError> {
        self.0.send(ListRooms).await.unwrap_or_else(|gone| Err(StoreError(gone.to_string())))
    }

    /// Whether the registry answers.
    pub async fn is_alive(&self) -> bool {
        self.0.send(Ping).await.is_ok()
    }

    /// Whether new rooms are taken.
    pub async fn readiness(&self) -> Readiness {
        self.0
            .send(AskReadiness)
            .await
            .unwrap_or_else(|gone| Readiness::NotReady { reason: gone.to_string() })
    }

    /// Gives all claims and the node's lease back, and takes no new ones. Returns when that is done, or after
    /// [`LEAVE_TIMEOUT`]. The claims' owners are not told.
    pub async fn leave(&self) {
        // Without a registry there is nothing to give back.
        let _ = self.0.send(Leave).await;
    }
}

#[cfg(test)]
mod tests;
