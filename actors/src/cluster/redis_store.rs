//! The store that nodes share: claims and leases in Redis.

mod access;
mod join;
mod keys;
mod leases;
mod lookups;
mod membership;
mod pending_releases;
mod pool;
mod rows;
mod scripts;
mod server;
mod table;
mod url;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    time::Duration,
};

use futures::{FutureExt, future::LocalBoxFuture};
use log::warn;
use redis::RedisError;
use synctv_media::{
    access::PublisherProof,
    cluster::claims::{ClaimAnswer, ClaimRequest, Holder, RenewAnswer, TableId},
    stream::room::RoomName,
};

pub use self::{
    access::RedisAccess,
    join::{JoinError, Joined, join},
    keys::{KeyPrefix, KeyPrefixError},
    membership::Membership,
    url::{RedisUrl, RedisUrlError},
};
use self::{
    leases::LeaseCache,
    pending_releases::PendingReleases,
    pool::{PooledConnection, RedisPool},
    table::{Shown, Table},
};
use super::{
    origin::{LiveNode, Origin, PublishedRoom, Trace},
    registry::CLAIM_TIMEOUT,
    store::{Audit, Claim, ClaimError, Granted, LeaseRenewal, Store, StoreError, UsedClaim},
};
use crate::clock::whole_ms;

/// Time within which a heartbeat's request may be granted, from when it is sent.
const RENEW_VALID_MS: u64 = 3000;

/// Claims, releases and heartbeats that are under way at once.
const CLAIM_LINKS_MAX: u32 = 4;

/// Look-ups that are under way at once.
const LOOKUP_LINKS_MAX: u32 = 4;

/// Rooms whose entry is another application's key, and of which that was said.
const FOREIGN_MAX: usize = 1024;

/// The store of a node that shares its rooms with others.
#[derive(Clone)]
pub struct RedisStore(Rc<Inner>);

struct Inner {
    membership: Membership,
    table: Table,
    /// The memory of the table that the lease was last renewed in. Answers of another one do not count before the lease
    /// is renewed there.
    table_id: Cell<TableId>,
    /// For claims and heartbeats.
    pool: RedisPool,
    /// For this node's lease: nothing else may keep it waiting.
    lease_links: RedisPool,
    /// For questions, which viewers cause: they keep no claim waiting.
    lookup_links: RedisPool,
    /// Leases of other nodes.
    leases: RefCell<LeaseCache>,
    /// Claims that may be in the table though this node does not have them.
    pending_releases: RefCell<PendingReleases>,
    /// The highest epoch that was seen, for a table that forgot it.
    last_epoch: Cell<u64>,
    foreign: RefCell<HashSet<RoomName>>,
    is_draining: Cell<bool>,
}

/// The reason a claim was not requested or not granted.
enum Refusal {
    Taken { node: String },
    LeaseGone,
    OtherTable,
    Late,
}

impl RedisStore {
    /// The store of a node that has joined.
    pub fn new(joined: &Joined) -> Self {
        let membership = joined.membership().clone();
        Self(Rc::new(Inner {
            table: membership.table(),
            table_id: Cell::new(joined.table_id()),
            pool: joined.pool(CLAIM_LINKS_MAX),
            lease_links: joined.pool(1),
            lookup_links: joined.pool(LOOKUP_LINKS_MAX),
            membership,
            leases: RefCell::default(),
            pending_releases: RefCell::default(),
            last_epoch: Cell::new(0),
            foreign: RefCell::default(),
            is_draining: Cell::new(false),
        }))
    }

    fn run<T: 'static, F>(&self, work: impl FnOnce(Rc<Inner>) -> F) -> LocalBoxFuture<'static, T>
    where
        F: Future<Output = T> + 'static,
    {
        work(self.0.clone()).boxed_local()
    }
}

impl Inner {
    async fn claim(&self, room: RoomName, proof: Option<PublisherProof>) -> Result<Granted, ClaimError> {
        let sent = Cell::new(None);
        let claimed =
            self.pool.run(async |link| self.claim_over(link, &room, proof.as_ref(), &sent).await).await;
        match claimed {
            Ok(Ok(granted)) => Ok(granted),
            Ok(Err(Refusal::Taken { node })) => Err(ClaimError::Taken { node }),
            Ok(Err(Refusal::LeaseGone)) => Err(unavailable("this node's lease has expired")),
            Ok(Err(Refusal::OtherTable)) => Err(unavailable("Redis was restarted or replaced a moment ago")),
            Ok(Err(Refusal::Late)) => Err(unavailable("Redis is too slow")),
            Err(error) => {
                if let Some((epoch, valid_until_ms)) = sent.take() {
                    self.pending_releases.borrow_mut().add(Claim { room, epoch }, valid_until_ms);
                }
                Err(unavailable(&error.0))
            }
        }
    }

    /// Notes in `sent` what may have been granted if no answer comes. All of it goes over one connection: a Redis that
    /// is replaced by another one on the way breaks it, and the claim starts again with a look at which one it is.
    async fn claim_over(
        &self,
        link: &mut PooledConnection,
        room: &RoomName,
        proof: Option<&PublisherProof>,
        sent: &Cell<Option<(u64, u64)>>,
    ) -> Result<Result<Granted, Refusal>, RedisError> {
        if link.table() != self.table_id.get() {
            return Ok(Err(Refusal::OtherTable));
        }
        let ticket = self.table.next_ticket(link, self.last_epoch.get()).await?;
        self.note_epoch(ticket.epoch);
        let (process, valid_until_ms) =
            (self.membership.process.clone(), ticket.now_ms + whole_ms(CLAIM_TIMEOUT));
        let request = ClaimRequest { room: room.clone(), process, epoch: ticket.epoch, valid_until_ms };
        sent.set(Some((request.epoch, valid_until_ms)));
        let (answer, shown) = self.table.try_claim(link, &request, proof).await?;
        Ok(match answer {
            ClaimAnswer::Granted(numbers) => {
                self.note_shown(room, shown);
                Ok(Granted { claim: Claim { room: request.room, epoch: request.epoch }, numbers })
            }
            ClaimAnswer::Held(holder) => Err(Refusal::Taken { node: holder.process.node }),
            ClaimAnswer::NoLease => Err(Refusal::LeaseGone),
            ClaimAnswer::Late => Err(Refusal::Late),
        })
    }

    async fn renew(&self, claims: Vec<UsedClaim>) -> Result<Vec<Claim>, StoreError> {
        let answers = self.pool.run(async |link| self.renew_over(link, &claims).await).await?;
        if answers.iter().any(|(answer, _)| *answer == RenewAnswer::Late) {
            return Err(StoreError("Redis is too slow".to_owned()));
        }
        for (renewed, (_, shown)) in claims.iter().zip(&answers) {
            self.note_shown(&renewed.claim.room, *shown);
        }
        let lost = claims.into_iter().zip(answers).filter(|(_, (answer, _))| *answer == RenewAnswer::Lost);
        Ok(lost.map(|(lost, _)| lost.claim).collect())
    }

    async fn renew_over(
        &self,
        link: &mut PooledConnection,
        claims: &[UsedClaim],
    ) -> Result<Vec<(RenewAnswer, Shown)>, RedisError> {
        let process = &self.membership.process;
        let valid_until_ms = self.table.now_ms(link).await? + RENEW_VALID_MS;
        // If its answer is late, it could put back a claim that is released meanwhile.
        self.pending_releases.borrow_mut().expect_renewals(valid_until_ms);
        let request = |UsedClaim { claim, used }: &UsedClaim| {
            let (room, process) = (claim.room.clone(), process.clone());
            (ClaimRequest { room, process, epoch: claim.epoch, valid_until_ms }, *used)
        };
        let won: Vec<_> = claims.iter().map(request).collect();
        self.table.renew(link, &won).await
    }

    async fn reserve(&self, UsedClaim { claim, used }: UsedClaim) -> Result<bool, StoreError> {
        let process = &self.membership.process;
        let reserved = self
            .pool
            .run(async |link| self.table.reserve(link, &claim.room, process, claim.epoch, &used).await);
        reserved.await
    }

    async fn offer(
        &self,
        Claim { room, epoch }: Claim,
        proof: PublisherProof,
        hold: Duration,
    ) -> Result<bool, StoreError> {
        let by = Holder { process: self.membership.process.clone(), epoch };
        self.pool.run(async |link| self.table.offer(link, &room, &by, &proof, hold).await).await
    }

    async fn release(&self, claims: Vec<Claim>) -> Result<(), StoreError> {
        let process = &self.membership.process;
        let released = self
            .pool
            .run(async |link| self.table.release(link, process, claims.iter().map(parts)).await)
            .await;
        self.pending_releases.borrow_mut().released(claims, released.as_ref().ok().copied());
        released.map(drop)
    }

    async fn renew_lease(&self) -> Result<LeaseRenewal, StoreError> {
        let Membership { process, lease_ttl, .. } = &self.membership;
        let lease = self.membership.lease(self.is_draining.get());
        let renew = async |link: &mut PooledConnection| {
            let renewed = self.table.renew_lease(link, &process.node, &lease, None, *lease_ttl).await?;
            Ok((renewed, link.table()))
        };
        let (renewed, table) = self.lease_links.run(renew).await?;
        self.table_id.set(table);
        let pending_releases = self.pending_releases.borrow().due();
        if !pending_releases.is_empty() {
            // Releases that fail stay due.
            let _ = self.release(pending_releases).await;
        }
        Ok(LeaseRenewal { answer: renewed.answer, table, is_full: renewed.is_full })
    }

    async fn leave(&self, claims: Vec<Claim>) -> Result<(), StoreError> {
        self.release(claims).await?;
        let process = &self.membership.process;
        self.lease_links.run(async |link| self.table.end_lease(link, process).await).await
    }

    fn note_epoch(&self, epoch: u64) {
        self.last_epoch.set(self.last_epoch.get().max(epoch));
    }

    /// Says once of each room that people do not see it in Redis.
    fn note_shown(&self, room: &RoomName, shown: Shown) {
        let mut foreign = self.foreign.borrow_mut();
        match shown {
            Shown::Yes => {
                foreign.remove(room);
            }
            Shown::Foreign if foreign.len() < FOREIGN_MAX && foreign.insert(room.clone()) => {
                let key = self.membership.prefix.room(room);
                warn!(room = room.as_str(), key = key.as_str();
                    "a key of another application is where a room's entry belongs: the room is published without it");
            }
            Shown::Foreign => {}
        }
    }
}

fn unavailable(reason: &str) -> ClaimError {
    ClaimError::Unavailable { reason: reason.to_owned() }
}

fn parts(claim: &Claim) -> (&RoomName, u64) {
    (&claim.room, claim.epoch)
}

impl Store for RedisStore {
    fn node(&self) -> String {
        self.0.membership.process.node.clone()
    }

    fn claim(
        &self,
        room: &RoomName,
        proof: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        let room = room.clone();
        self.run(async move |inner| inner.claim(room, proof).await)
    }

    fn offer(
        &self,
        claim: Claim,
        proof: PublisherProof,
        hold: Duration,
    ) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        self.run(async move |inner| inner.offer(claim, proof, hold).await)
    }

    fn renew(&self, claims: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        self.run(async move |inner| inner.renew(claims).await)
    }

    fn reserve(&self, used: UsedClaim) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        self.run(async move |inner| inner.reserve(used).await)
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.run(async move |inner| inner.release(vec![claim]).await)
    }

    fn audit(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Audit, StoreError>> {
        self.run(async move |inner| inner.audit(claims).await)
    }

    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        self.trace(room, false).map(|trace| trace.map(|trace| trace.current)).boxed_local()
    }

    fn trace(&self, room: &RoomName, fresh: bool) -> LocalBoxFuture<'static, Result<Trace, StoreError>> {
        let room = room.clone();
        self.run(async move |inner| inner.trace(room, fresh).await)
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        self.run(async move |inner| inner.rooms().await)
    }

    fn nodes(&self) -> LocalBoxFuture<'static, Result<Vec<LiveNode>, StoreError>> {
        self.run(async move |inner| inner.nodes().await)
    }

    fn lease_ttl(&self) -> Option<Duration> {
        Some(self.0.membership.lease_ttl)
    }

    fn table_id(&self) -> TableId {
        self.0.table_id.get()
    }

    fn renew_lease(&self) -> LocalBoxFuture<'static, Result<LeaseRenewal, StoreError>> {
        self.run(async move |inner| inner.renew_lease().await)
    }

    fn announce_drain(&self) {
        self.0.is_draining.set(true);
    }

    fn leave(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.run(async move |inner| inner.leave(claims).await)
    }
}

#[cfg(test)]
mod tests;
