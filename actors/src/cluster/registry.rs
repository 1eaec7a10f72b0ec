//! The node's claims on rooms, its lease, and the heartbeats that keep them.

mod actor;
mod lease_keeper;
mod lookups;
mod messages;
mod metered_store;
pub mod numbers;

use std::time::Duration;

use actix::{Addr, Arbiter, Recipient, Supervisor};
use actix_rt::ArbiterHandle;
use log::warn;
use synctv_media::{
    access::PublisherProof,
    cluster::standing::{NodeStanding, NodeUrl},
    stream::room::RoomName,
};
use tokio::time::timeout;

pub use self::messages::{
    CLAIM_TIMEOUT, ClaimLost, Claimed, Freshness, LEAVE_TIMEOUT, OFFER_TIMEOUT, Readiness,
};
use self::{
    actor::RegistryActor,
    messages::{
        AdoptRoom, AnnounceDrain, AskReadiness, ClaimRoom, Leave, ListNodes, ListRooms, Locate, OfferRoom,
        ParkClaims, Ping, ReleaseParked, ReleaseRoom, TraceRoom,
    },
    metered_store::MeteredStore,
};
use crate::{
    cluster::{
        origin::{LiveNode, Origin, PublishedRoom, Trace},
        store::{Claim, ClaimError, Store, StoreError},
    },
    metrics::RegistryMetrics,
    upgrade::states::ClaimsState,
};

/// Time for the registry to name another node. A drain does not wait longer for an address that is a convenience.
const NEXT_NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// Talks to the `RegistryActor`.
#[derive(Debug, Clone)]
pub struct RegistryHandle {
    address: Addr<RegistryActor>,
    metrics: RegistryMetrics,
}

impl RegistryHandle {
    /// Starts the registry on a thread of its own. `store` is built there.
    pub fn start<S: Store>(heartbeat: Duration, store: impl FnOnce() -> S + Send + 'static) -> Self {
        Self::start_on(&Arbiter::new().handle(), heartbeat, store)
    }

    /// Like [`start`](Self::start), of a node that is upgraded in place: `parked` are the claims that go on.
    pub fn resume<S: Store>(
        heartbeat: Duration,
        parked: ClaimsState,
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        Self::resume_on(&Arbiter::new().handle(), heartbeat, parked, store)
    }

    pub(crate) fn start_on<S: Store>(
        arbiter: &ArbiterHandle,
        heartbeat: Duration,
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        Self::resume_on(arbiter, heartbeat, ClaimsState::default(), store)
    }

    pub(crate) fn resume_on<S: Store>(
        arbiter: &ArbiterHandle,
        heartbeat: Duration,
        parked: ClaimsState,
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        let metrics = RegistryMetrics::default();
        let of_actor = metrics.clone();
        let address = Supervisor::start_in_arbiter(arbiter, move |_| {
            let store = MeteredStore::new(store(), of_actor.clone());
            let mut registry = RegistryActor::new(store, heartbeat, of_actor.clone());
            registry.take_over(parked);
            registry
        });
        Self { address, metrics }
    }

    /// Keeps the claims of all streams, which end without giving them back, and returns them.
    pub(crate) async fn park(&self) -> Result<ClaimsState, StoreError> {
        self.address.send(ParkClaims).await.map_err(|ended| StoreError(ended.to_string()))
    }

    /// Gives a claim that was parked to the stream that goes on with it. `None` if it was lost.
    pub(crate) async fn adopt(&self, claim: Claim, owner: Recipient<ClaimLost>) -> Option<Claimed> {
        self.address.send(AdoptRoom { claim, owner }).await.ok().flatten()
    }

    /// Gives back the claims that no stream has asked for after an upgrade.
    pub(crate) fn release_parked(&self) {
        self.address.do_send(ReleaseParked);
    }

    /// Returns the metrics of the registry.
    pub fn metrics(&self) -> &RegistryMetrics {
        &self.metrics
    }

    /// Claims `room` for `owner`, which gets an event if the claim is lost later. `proof` is the publisher's, in case
    /// the room is reserved.
    pub async fn claim(
        &self,
        room: RoomName,
        proof: Option<PublisherProof>,
        owner: Recipient<ClaimLost>,
    ) -> Result<Claimed, ClaimError> {
        let answer = self.address.send(ClaimRoom { room, proof, owner }).await;
        answer.unwrap_or_else(|ended| Err(ClaimError::Unavailable { reason: ended.to_string() }))
    }

    /// Reserves the room of `claim` for its publisher, on all nodes and for so long. Returns whether it is
    /// reserved.
    pub async fn offer(
        &self,
        claim: Claim,
        proof: PublisherProof,
        hold: Duration,
    ) -> Result<bool, StoreError> {
        let asked = self.address.send(OfferRoom { claim, proof, hold }).await;
        asked.unwrap_or_else(|ended| Err(StoreError(ended.to_string())))
    }

    /// Gives a claim back.
    pub fn release(&self, claim: Claim) {
        self.address.do_send(ReleaseRoom(claim));
    }

    /// The other node that publishes `room`, if there is one that is alive. The answer may be a second old.
    pub async fn locate(&self, room: RoomName) -> Result<Option<Origin>, StoreError> {
        self.address.send(Locate(room)).await.unwrap_or_else(|ended| Err(StoreError(ended.to_string())))
    }

    /// Returns the present and the past holder of `room`.
    pub async fn trace(&self, room: RoomName, freshness: Freshness) -> Result<Trace, StoreError> {
        let asked = self.address.send(TraceRoom { room, freshness }).await;
        asked.unwrap_or_else(|ended| Err(StoreError(ended.to_string())))
    }

    /// All rooms that are published, on this node and on others, in no order. The answer may be a second old.
    pub async fn rooms(&self) -> Result<Vec<PublishedRoom>, StoreError> {
        self.address.send(ListRooms).await.unwrap_or_else(|ended| Err(StoreError(ended.to_string())))
    }

    /// The other nodes that are alive.
    pub async fn nodes(&self, freshness: Freshness) -> Result<Vec<LiveNode>, StoreError> {
        let asked = self.address.send(ListNodes(freshness)).await;
        asked.unwrap_or_else(|ended| Err(StoreError(ended.to_string())))
    }

    /// The address of the node to which this one sends publishers and players when it drains; `None` if no other node
    /// has one, or the registry cannot say within [`NEXT_NODE_TIMEOUT`].
    pub async fn next_node(&self) -> Option<NodeUrl> {
        let nodes = timeout(NEXT_NODE_TIMEOUT, self.nodes(Freshness::Anew)).await.ok()?.ok()?;
        NodeStanding::next_url(nodes.iter().map(|node| &node.standing)).cloned()
    }

    /// Makes this node's lease say that it drains, so that no other node sends its publishers here. New rooms are still
    /// taken until it [leaves](Self::leave).
    pub fn announce_drain(&self) {
        self.address.do_send(AnnounceDrain);
    }

    /// Returns whether the registry answers.
    pub async fn is_alive(&self) -> bool {
        self.address.send(Ping).await.is_ok()
    }

    /// Returns whether new rooms are taken.
    pub async fn readiness(&self) -> Readiness {
        self.address
            .send(AskReadiness)
            .await
            .unwrap_or_else(|ended| Readiness::NotReady { reason: ended.to_string() })
    }

    /// Gives all claims and the node's lease back, and takes no new ones. Returns when that is done, or after
    /// [`LEAVE_TIMEOUT`]. The claims' owners are not notified.
    pub async fn leave(&self) {
        if let Err(ended) = self.address.send(Leave).await {
            warn!(reason:% = ended; "claims and lease were not released: they expire");
        }
    }
}

#[cfg(test)]
mod tests;
