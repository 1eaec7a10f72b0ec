//! The node's registry.

mod audit;
mod lease;
mod questions;
mod renewal;
mod upgrade;

use std::{collections::HashMap, rc::Rc, time::Duration};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseActFuture, Supervised,
    WrapFuture, fut,
};
use futures::{FutureExt, future::Shared};
use log::{error, warn};
use synctv_media::stream::room::RoomName;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use super::{
    lease_keeper::LeaseKeeper,
    lookups::Lookups,
    messages::{
        AnnounceDrain, AskReadiness, CLAIM_TIMEOUT, ClaimLost, ClaimRoom, Claimed, LEAVE_TIMEOUT, Leave,
        OFFER_TIMEOUT, OfferRoom, Ping, Readiness, ReleaseRoom,
    },
    numbers::{NumberKeeper, NumberReserve, UseNumbers},
};
use crate::{
    cluster::{
        origin::{LiveNode, PublishedRoom, Trace},
        store::{Claim, ClaimError, Granted, Store, StoreError},
    },
    metrics::RegistryMetrics,
};

/// The node's registry. Supervised, on an arbiter of its own, so that no stream's work delays a heartbeat.
pub(super) struct RegistryActor {
    store: Rc<dyn Store>,
    heartbeat: Duration,
    claims: HashMap<RoomName, Held>,
    numbers: NumberKeeper,
    /// Rooms that are being claimed or released: further requests for them wait.
    busy: HashMap<RoomName, Gate>,
    renewal: Renewal,
    lease: Option<LeaseKeeper>,
    is_leaving: bool,
    /// Number of times that the lease had lapsed and was taken again.
    lease_generation: u64,
    traces: Lookups<RoomName, Trace>,
    rooms: Lookups<(), Vec<PublishedRoom>>,
    nodes: Lookups<(), Vec<LiveNode>>,
    metrics: RegistryMetrics,
}

struct Held {
    claim: Claim,
    owner: Owner,
}

/// The stream that a claim is for.
enum Owner {
    Stream(Recipient<ClaimLost>),
    /// It is parked for an upgrade, and asks for its claim again.
    Parked,
}

impl Owner {
    fn is_there(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.connected(),
            Self::Parked => true,
        }
    }

    fn notify_lost(&self, epoch: u64) {
        match self {
            Self::Stream(stream) => stream.do_send(ClaimLost { epoch }),
            // It finds no claim when it asks.
            Self::Parked => {}
        }
    }
}

/// Opens when its other half is dropped.
type Gate = Shared<oneshot::Receiver<()>>;

/// The renewal of all claims.
enum Renewal {
    /// None is under way, and none is needed before the next heartbeat.
    Idle,
    /// The last one failed.
    Due,
    /// One is under way. No claim is given back until it has ended, as it could put the claim back.
    UnderWay { ended: Gate, again: bool },
}

type ClaimFuture = ResponseActFuture<RegistryActor, Result<Claimed, ClaimError>>;

impl RegistryActor {
    pub fn new<S: Store>(store: S, heartbeat: Duration, metrics: RegistryMetrics) -> Self {
        Self {
            lease: store.lease_ttl().map(|ttl| LeaseKeeper::new(ttl, store.table_id())),
            store: Rc::new(store),
            heartbeat,
            claims: HashMap::new(),
            numbers: NumberKeeper::default(),
            busy: HashMap::new(),
            renewal: Renewal::Idle,
            is_leaving: false,
            lease_generation: 0,
            traces: Lookups::default(),
            rooms: Lookups::default(),
            nodes: Lookups::default(),
            metrics,
        }
    }

    fn lose(&mut self, claim: &Claim) {
        if let Some(held) = self.take_held(claim) {
            self.metrics.claims_lost.inc();
            warn!(room = claim.room.as_str(), epoch = claim.epoch; "claim lost");
            held.owner.notify_lost(claim.epoch);
        }
    }

    /// A late answer about an old claim must not touch a newer one on the same room.
    fn take_held(&mut self, claim: &Claim) -> Option<Held> {
        let is_held = self.claims.get(&claim.room).is_some_and(|held| held.claim == *claim);
        if !is_held {
            return None;
        }
        self.traces.forget(&claim.room);
        self.numbers.released(claim, Instant::now());
        let held = self.claims.remove(&claim.room);
        self.note_claims();
        held
    }

    /// Releases the claims of owners that have ended and can no longer release them.
    fn release_orphans(&mut self, ctx: &mut Context<Self>) {
        let orphans = self.claims.values().filter(|held| !held.owner.is_there());
        let orphans: Vec<Claim> = orphans.map(|held| held.claim.clone()).collect();
        for claim in orphans {
            self.release(claim, ctx);
        }
    }

    fn claim(&mut self, request: ClaimRoom, deadline: Instant, ctx: &mut Context<Self>) -> ClaimFuture {
        if let Err(refused) = self.may_claim() {
            return Box::pin(fut::ready(Err(refused)));
        }
        // A stream that panicked gave nothing back.
        let held = self.claims.get(&request.room);
        if let Some(orphan) = held.filter(|held| !held.owner.is_there()).map(|held| held.claim.clone()) {
            self.release(orphan, ctx);
        }
        if let Some(gate) = self.busy.get(&request.room) {
            let free = timeout_at(deadline, gate.clone()).into_actor(self);
            return Box::pin(free.then(move |free, registry, ctx| match free {
                Ok(_) => registry.claim(request, deadline, ctx),
                Err(_) => Box::pin(fut::ready(Err(no_answer()))),
            }));
        }
        if self.claims.contains_key(&request.room) {
            return Box::pin(fut::ready(Err(ClaimError::Taken { node: self.store.node() })));
        }
        let answer = self.ask_store(request, ctx);
        Box::pin(timeout_at(deadline, answer).into_actor(self).map(|answer, _, _| match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(no_answer()),
        }))
    }

    /// The claim is followed to its end even when its asker has left: it may succeed.
    fn ask_store(
        &mut self,
        ClaimRoom { room, proof, owner }: ClaimRoom,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<Claimed, ClaimError>> {
        let (answer, answered) = oneshot::channel();
        let (opener, free) = gate();
        let (claimed, lease_generation) = (self.store.claim(&room, proof), self.lease_generation);
        self.busy.insert(room.clone(), free);
        ctx.spawn(claimed.into_actor(self).map(move |claimed, registry, ctx| {
            registry.busy.remove(&room);
            match claimed {
                Ok(granted) => registry.claimed(granted, owner, lease_generation, answer, ctx),
                Err(error) => registry.claim_failed(error, answer, ctx),
            }
            drop(opener);
        }));
        answered
    }

    fn claimed(
        &mut self,
        Granted { claim, numbers }: Granted,
        owner: Recipient<ClaimLost>,
        generation_before: u64,
        answer: oneshot::Sender<Result<Claimed, ClaimError>>,
        ctx: &mut Context<Self>,
    ) {
        self.traces.forget(&claim.room);
        // If the lease lapsed meanwhile, the claim may have been granted by a table that was emptied since.
        let is_certain = self.lease_generation == generation_before;
        let is_wanted = is_certain && !self.is_leaving && owner.connected();
        self.claims.insert(claim.room.clone(), Held { claim: claim.clone(), owner: Owner::Stream(owner) });
        self.note_claims();
        let reserve = NumberReserve::new(claim.clone(), numbers, Some(ctx.address().recipient()));
        self.numbers.granted(&reserve, numbers);
        let claimed = Ok(Claimed { claim: claim.clone(), numbers: reserve });
        let sent = if is_wanted { answer.send(claimed) } else { Err(claimed) };
        if sent.is_err() {
            self.release(claim, ctx);
        }
    }

    fn claim_failed(
        &mut self,
        error: ClaimError,
        answer: oneshot::Sender<Result<Claimed, ClaimError>>,
        ctx: &mut Context<Self>,
    ) {
        if let ClaimError::Unavailable { .. } = error {
            // If it is the lease that is missing, this finds out.
            self.renew_lease_now(ctx);
        }
        // The requester may have given up.
        let _ = answer.send(Err(error));
    }

    fn release(&mut self, claim: Claim, ctx: &mut Context<Self>) {
        if self.take_held(&claim).is_some() {
            self.give_back(claim, ctx);
        }
    }

    /// Frees a room in the store. Claims of it wait meanwhile.
    fn give_back(&mut self, claim: Claim, ctx: &mut Context<Self>) {
        let room = claim.room.clone();
        let (opener, free) = gate();
        self.busy.insert(room.clone(), free);
        let (store, renewal_ended) = (self.store.clone(), self.renewal_ended());
        let released = async move {
            renewal_ended.await;
            store.release(claim).await
        };
        ctx.spawn(released.into_actor(self).map(move |released, registry, _| {
            registry.busy.remove(&room);
            registry.traces.forget(&room);
            if let Err(error) = released {
                warn!(room = room.as_str(), reason:% = error; "a room is not released yet");
            }
            drop(opener);
        }));
    }

    fn may_claim(&self) -> Result<(), ClaimError> {
        match self.readiness() {
            Readiness::Ready => Ok(()),
            Readiness::NotReady { reason } => Err(ClaimError::Unavailable { reason }),
        }
    }

    fn note_claims(&self) {
        self.metrics.claims.set(i64::try_from(self.claims.len()).unwrap_or(i64::MAX));
    }

    fn readiness(&self) -> Readiness {
        if self.is_leaving {
            return Readiness::NotReady { reason: "this node is stopping".to_owned() };
        }
        match self.lease.as_ref().and_then(LeaseKeeper::obstacle) {
            Some(reason) => Readiness::NotReady { reason },
            None => Readiness::Ready,
        }
    }
}

fn gate() -> (oneshot::Sender<()>, Gate) {
    let (opener, gate) = oneshot::channel();
    (opener, gate.shared())
}

fn no_answer() -> ClaimError {
    ClaimError::Unavailable { reason: format!("no answer within {} s", CLAIM_TIMEOUT.as_secs()) }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.heartbeat, |registry, ctx| registry.renew_claims(ctx));
        self.renew_lease_now(ctx);
    }
}

impl Supervised for RegistryActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        error!(claims = self.claims.len(); "the registry starts again");
    }
}

/// After a panic the claims are no longer renewed, so others will take the rooms: their publishers have to go.
impl Drop for RegistryActor {
    fn drop(&mut self) {
        if self.is_leaving || self.claims.is_empty() {
            return;
        }
        error!(claims = self.claims.len(); "the registry has failed");
        for (_, held) in self.claims.drain() {
            held.owner.notify_lost(held.claim.epoch);
        }
    }
}

impl Handler<ClaimRoom> for RegistryActor {
    type Result = ClaimFuture;

    fn handle(&mut self, request: ClaimRoom, ctx: &mut Self::Context) -> Self::Result {
        self.claim(request, Instant::now() + CLAIM_TIMEOUT, ctx)
    }
}

impl Handler<OfferRoom> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<bool, StoreError>>;

    fn handle(&mut self, OfferRoom { claim, proof, hold }: OfferRoom, _: &mut Self::Context) -> Self::Result {
        let offered = timeout(OFFER_TIMEOUT, self.store.offer(claim, proof, hold));
        Box::pin(offered.into_actor(self).map(|offered, _, _| {
            offered.unwrap_or_else(|_| {
                Err(StoreError(format!("no answer within {} s", OFFER_TIMEOUT.as_secs())))
            })
        }))
    }
}

impl Handler<ReleaseRoom> for RegistryActor {
    type Result = ();

    fn handle(&mut self, ReleaseRoom(claim): ReleaseRoom, ctx: &mut Self::Context) {
        self.release(claim, ctx);
    }
}

impl Handler<UseNumbers> for RegistryActor {
    type Result = ();

    fn handle(&mut self, report: UseNumbers, ctx: &mut Self::Context) {
        if let Some(used) = self.numbers.used(report, Instant::now()) {
            let reserved = self.store.reserve(used.clone()).into_actor(self);
            ctx.spawn(reserved.map(move |may_use, registry, _| {
                registry.numbers.reserved(&used, may_use.ok());
            }));
        }
    }
}

impl Handler<Ping> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<AskReadiness> for RegistryActor {
    type Result = actix::MessageResult<AskReadiness>;

    fn handle(&mut self, _: AskReadiness, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.readiness())
    }
}

impl Handler<AnnounceDrain> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: AnnounceDrain, ctx: &mut Self::Context) {
        self.store.announce_drain();
        self.renew_lease_again(ctx);
    }
}

impl Handler<Leave> for RegistryActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Leave, _: &mut Self::Context) -> Self::Result {
        self.is_leaving = true;
        let claims = self.claims.drain().map(|(_, held)| held.claim).collect();
        self.note_claims();
        let (store, renewal_ended) = (self.store.clone(), self.renewal_ended());
        let left = timeout(LEAVE_TIMEOUT, async move {
            renewal_ended.await;
            store.leave(claims).await
        });
        Box::pin(left.into_actor(self).map(|left, _, _| match left {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(reason:% = error; "claims and lease were not released: they expire"),
            Err(_) => warn!("claims and lease expire: the store does not answer"),
        }))
    }
}
