//! Who publishes what: the node's claims on rooms, and the heartbeat that keeps them.

pub mod embedded;
pub mod origin;
pub mod store;

use std::{collections::HashMap, rc::Rc, time::Duration};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, Recipient,
    ResponseActFuture, Supervised, Supervisor, WrapFuture,
};
use actix_rt::ArbiterHandle;
use log::{error, warn};
use synctv_media::room::RoomName;
use thiserror::Error;

use self::{
    origin::{Origin, PublishedRoom},
    store::{Claim, Store, StoreError},
};

/// How long a claim may take before it counts as refused. Publishers wait for it.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);

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
    #[error("the registry does not answer: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

/// Told to the owner of a claim that is no longer its own.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ClaimLost {
    /// The claim's epoch.
    pub epoch: u64,
}

/// The node's registrar. Supervised, on an arbiter of its own, so that no stream's work delays a heartbeat.
pub struct RegistryActor {
    store: Rc<dyn Store>,
    heartbeat: Duration,
    claims: HashMap<RoomName, Held>,
}

struct Held {
    claim: Claim,
    owner: Recipient<ClaimLost>,
}

/// Talks to the [`RegistryActor`].
#[derive(Debug, Clone)]
pub struct RegistryHandle(Addr<RegistryActor>);

#[derive(Message)]
#[rtype(result = "Result<Claim, ClaimError>")]
struct ClaimRoom {
    room: RoomName,
    owner: Recipient<ClaimLost>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct ReleaseRoom(Claim);

#[derive(Message)]
#[rtype(result = "Result<Option<Origin>, StoreError>")]
struct Locate(RoomName);

#[derive(Message)]
#[rtype(result = "Result<Vec<PublishedRoom>, StoreError>")]
struct ListRooms;

#[derive(Message)]
#[rtype(result = "()")]
struct Ping;

impl RegistryHandle {
    /// Starts the registrar on a thread of its own. `store` is built there.
    pub fn start<S: Store>(heartbeat: Duration, store: impl FnOnce() -> S + Send + 'static) -> Self {
        Self::start_on(&Arbiter::new().handle(), heartbeat, store)
    }

    pub(crate) fn start_on<S: Store>(
        arbiter: &ArbiterHandle,
        heartbeat: Duration,
        store: impl FnOnce() -> S + Send + 'static,
    ) -> Self {
        Self(Supervisor::start_in_arbiter(arbiter, move |_| RegistryActor {
            store: Rc::new(store()),
            heartbeat,
            claims: HashMap::new(),
        }))
    }

    /// Claims `room` for `owner`, who is told if the claim is lost later.
    pub async fn claim(&self, room: RoomName, owner: Recipient<ClaimLost>) -> Result<Claim, ClaimError> {
        let answer = self.0.send(ClaimRoom { room, owner }).await;
        answer.unwrap_or_else(|gone| Err(ClaimError::Unavailable { reason: gone.to_string() }))
    }

    /// Gives a claim back.
    pub fn release(&self, claim: Claim) {
        self.0.do_send(ReleaseRoom(claim));
    }

    /// The other node that publishes `room`, if there is one.
    pub async fn locate(&self, room: RoomName) -> Result<Option<Origin>, StoreError> {
        self.0.send(Locate(room)).await.unwrap_or_else(|gone| Err(StoreError(gone.to_string())))
    }

    /// All rooms that are published, on this node and on others, in no order.
    pub async fn rooms(&self) -> Result<Vec<PublishedRoom>, StoreError> {
        self.0.send(ListRooms).await.unwrap_or_else(|gone| Err(StoreError(gone.to_string())))
    }

    /// Whether the registrar answers.
    pub async fn is_alive(&self) -> bool {
        self.0.send(Ping).await.is_ok()
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.heartbeat, |registry, ctx| registry.renew(ctx));
    }
}

impl Supervised for RegistryActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        error!(claims = self.claims.len(); "the registry starts again");
    }
}

impl RegistryActor {
    fn renew(&mut self, ctx: &mut Context<Self>) {
        if self.claims.is_empty() {
            return;
        }
        let claims = self.claims.values().map(|held| held.claim.clone()).collect();
        let renewed = self.store.renew(claims).into_actor(self).map(|lost, registry, _| match lost {
            Ok(lost) => lost.iter().for_each(|claim| registry.lose(claim)),
            Err(error) => warn!(reason:% = error; "claims could not be renewed"),
        });
        ctx.spawn(renewed);
    }

    fn lose(&mut self, claim: &Claim) {
        if let Some(held) = self.take_held(claim) {
            warn!(room = claim.room.as_str(), epoch = claim.epoch; "the claim on a room was lost");
            held.owner.do_send(ClaimLost { epoch: claim.epoch });
        }
    }

    /// A late answer about an old claim must not touch a newer one on the same room.
    fn take_held(&mut self, claim: &Claim) -> Option<Held> {
        let is_held = self.claims.get(&claim.room).is_some_and(|held| held.claim == *claim);
        if is_held { self.claims.remove(&claim.room) } else { None }
    }
}

impl Handler<ClaimRoom> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Claim, ClaimError>>;

    fn handle(&mut self, ClaimRoom { room, owner }: ClaimRoom, _: &mut Self::Context) -> Self::Result {
        let claim = tokio::time::timeout(CLAIM_TIMEOUT, self.store.claim(&room));
        Box::pin(claim.into_actor(self).map(move |answer, registry, _| {
            let claim = answer.unwrap_or_else(|_| {
                let reason = format!("no answer within {} s", CLAIM_TIMEOUT.as_secs());
                Err(ClaimError::Unavailable { reason })
            })?;
            registry.claims.insert(room, Held { claim: claim.clone(), owner });
            Ok(claim)
        }))
    }
}

impl Handler<ReleaseRoom> for RegistryActor {
    type Result = ();

    fn handle(&mut self, ReleaseRoom(claim): ReleaseRoom, ctx: &mut Self::Context) {
        if self.take_held(&claim).is_none() {
            return;
        }
        let room = claim.room.clone();
        let released = self.store.release(claim).into_actor(self).map(move |released, _, _| {
            if let Err(error) = released {
                warn!(room = room.as_str(), reason:% = error; "a room could not be released");
            }
        });
        ctx.spawn(released);
    }
}

impl Handler<Locate> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Option<Origin>, StoreError>>;

    fn handle(&mut self, Locate(room): Locate, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.store.locate(&room).into_actor(self))
    }
}

impl Handler<ListRooms> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Vec<PublishedRoom>, StoreError>>;

    fn handle(&mut self, _: ListRooms, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.store.rooms().into_actor(self))
    }
}

impl Handler<Ping> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests;
