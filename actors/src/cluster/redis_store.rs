//! The store that nodes share: claims and leases in Redis.

mod access;
mod join;
mod leases;
mod membership;
mod pending_releases;
mod pool;
mod scripts;
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
use redis::{RedisError, aio::MultiplexedConnection};
use synctv_media::{
    cluster::{
        claims::{ClaimAnswer, ClaimRequest, Lease, LeaseAnswer, RenewAnswer},
        leases::{HeldRoom, assess_holder},
    },
    stream::room::RoomName,
};
use tokio::time::Instant;

pub use self::{
    access::RedisAccess,
    join::{JoinError, Joined, join},
    membership::Membership,
    url::{RedisUrl, RedisUrlError},
};
use self::{leases::LeaseCache, pending_releases::PendingReleases, pool::RedisPool};
use super::{
    origin::{Origin, PublishedRoom},
    registry::CLAIM_TIMEOUT,
    store::{Claim, Store, StoreError},
};
use crate::cluster::store::ClaimError;

/// How long a heartbeat's request may be granted, from when it is sent.
const RENEW_VALID_MS: u64 = 3000;

/// Claims, releases and heartbeats that are under way at once.
const CLAIM_LINKS_MAX: u32 = 4;

/// Look-ups that are under way at once.
const LOOKUP_LINKS_MAX: u32 = 4;

/// How often keys are logged that cannot be read.
const UNREADABLE_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The store of a node that shares its rooms with others.
#[derive(Clone)]
pub struct RedisStore(Rc<Inner>);

struct Inner {
    membership: Membership,
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
    /// The lease had been gone, and the claims were not renewed since.
    returned: Cell<bool>,
    /// When a key that cannot be read was logged last.
    unreadable_logged: Cell<Option<Instant>>,
}

/// Why a bid was not made or not granted.
enum Refusal {
    Taken { node: String },
    LeaseGone,
    Late,
}

impl RedisStore {
    /// The store of a node that has joined.
    pub fn new(joined: &Joined) -> Self {
        Self(Rc::new(Inner {
            pool: joined.pool(CLAIM_LINKS_MAX),
            lease_links: joined.pool(1),
            lookup_links: joined.pool(LOOKUP_LINKS_MAX),
            membership: joined.membership().clone(),
            leases: RefCell::default(),
            pending_releases: RefCell::default(),
            returned: Cell::new(false),
            unreadable_logged: Cell::new(None),
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
    async fn claim(&self, room: RoomName) -> Result<Claim, ClaimError> {
        let sent = Cell::new(None);
        let claimed = self.pool.run(async |link| self.claim_over(link, &room, &sent).await).await;
        match claimed {
            Ok(Ok(epoch)) => Ok(Claim { room, epoch }),
            Ok(Err(Refusal::Taken { node })) => Err(ClaimError::Taken { node }),
            Ok(Err(Refusal::LeaseGone)) => Err(unavailable("this node's lease is gone")),
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
    /// is replaced by an empty one on the way breaks it, and the claim starts again with a look at the node's lease.
    async fn claim_over(
        &self,
        link: &mut MultiplexedConnection,
        room: &RoomName,
        sent: &Cell<Option<(u64, u64)>>,
    ) -> Result<Result<u64, Refusal>, RedisError> {
        let Membership { process, claim_ttl, .. } = &self.membership;
        let ticket = table::next_ticket(link, &process.node).await?;
        if ticket.own_lease != Some(process.incarnation) {
            return Ok(Err(Refusal::LeaseGone));
        }
        let timeout_ms = u64::try_from(CLAIM_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        let valid_until_ms = ticket.now_ms + timeout_ms;
        let request = ClaimRequest {
            room: room.clone(),
            process: process.clone(),
            epoch: ticket.epoch,
            valid_until_ms,
        };
        sent.set(Some((request.epoch, valid_until_ms)));
        let holder = match table::try_claim(link, &request, None, *claim_ttl).await? {
            ClaimAnswer::Granted => return Ok(Ok(request.epoch)),
            ClaimAnswer::Late => return Ok(Err(Refusal::Late)),
            ClaimAnswer::Held(holder) => holder,
        };
        let lease = table::lease(link, &holder.process.node).await?;
        if assess_holder(&holder, process, lease.as_ref()) == HeldRoom::Taken {
            return Ok(Err(Refusal::Taken { node: holder.process.node }));
        }
        Ok(match table::try_claim(link, &request, Some(&holder), *claim_ttl).await? {
            ClaimAnswer::Granted => Ok(request.epoch),
            ClaimAnswer::Late => Err(Refusal::Late),
            ClaimAnswer::Held(holder) => Err(Refusal::Taken { node: holder.process.node }),
        })
    }

    async fn renew(&self, claims: Vec<Claim>) -> Result<Vec<Claim>, StoreError> {
        // The lease may come back once more while this is under way: that is for the next renewal to say.
        let returned = self.returned.take();
        let renewed = self.pool.run(async |link| self.renew_over(link, &claims, returned).await).await;
        let in_time = renewed.and_then(|answers| match answers.contains(&RenewAnswer::Late) {
            true => Err(StoreError("Redis is too slow".to_owned())),
            false => Ok(answers),
        });
        let answers = in_time.inspect_err(|_| self.returned.set(self.returned.get() || returned))?;
        let lost = claims.into_iter().zip(answers).filter(|(_, answer)| *answer == RenewAnswer::Lost);
        Ok(lost.map(|(claim, _)| claim).collect())
    }

    async fn renew_over(
        &self,
        link: &mut MultiplexedConnection,
        claims: &[Claim],
        returned: bool,
    ) -> Result<Vec<RenewAnswer>, RedisError> {
        let Membership { process, claim_ttl, .. } = &self.membership;
        let valid_until_ms = table::now_ms(link).await? + RENEW_VALID_MS;
        // If its answer is late, it could put back a claim that is released meanwhile.
        self.pending_releases.borrow_mut().expect_renewals(valid_until_ms);
        let request = |claim: &Claim| ClaimRequest {
            room: claim.room.clone(),
            process: process.clone(),
            epoch: claim.epoch,
            valid_until_ms,
        };
        let bids: Vec<ClaimRequest> = claims.iter().map(request).collect();
        table::renew(link, &bids, returned, *claim_ttl).await
    }

    async fn release(&self, claims: Vec<Claim>) -> Result<(), StoreError> {
        let process = &self.membership.process;
        let released =
            self.pool.run(async |link| table::release(link, process, claims.iter().map(parts)).await).await;
        self.pending_releases.borrow_mut().released(claims, released.as_ref().ok().copied().flatten());
        released.map(drop)
    }

    async fn renew_lease(&self) -> Result<LeaseAnswer, StoreError> {
        let Membership { process, addresses, lease_ttl, .. } = &self.membership;
        let renewed = self
            .lease_links
            .run(async |link| table::renew_lease(link, process, addresses, None, *lease_ttl).await)
            .await?;
        if renewed == LeaseAnswer::Taken {
            self.returned.set(true);
        }
        let pending_releases = self.pending_releases.borrow().due();
        if !pending_releases.is_empty() {
            // What fails stays due.
            let _ = self.release(pending_releases).await;
        }
        Ok(renewed)
    }

    async fn leave(&self, claims: Vec<Claim>) -> Result<(), StoreError> {
        self.release(claims).await?;
        let process = &self.membership.process;
        self.lease_links.run(async |link| table::end_lease(link, process).await).await
    }

    async fn locate(&self, room: RoomName, fresh: bool) -> Result<Option<Origin>, StoreError> {
        self.lookup_links.run(async |link| self.locate_over(link, &room, fresh).await).await
    }

    async fn locate_over(
        &self,
        link: &mut MultiplexedConnection,
        room: &RoomName,
        fresh: bool,
    ) -> Result<Option<Origin>, RedisError> {
        let row = table::rows(link, &[room]).await?.pop().transpose()?.flatten();
        let Some(row) = row.filter(|row| row.node != self.membership.process.node) else {
            return Ok(None);
        };
        let known = self.leases.borrow().get(&row.node, row.incarnation, Instant::now());
        let lease = match known {
            Some(lease) if !fresh => Some(lease),
            _ => self.look_up_lease(link, &row.node).await?,
        };
        let lease = lease.filter(|lease| lease.incarnation == row.incarnation);
        Ok(lease.map(|lease| Origin { node: row.node, epoch: row.epoch, addresses: lease.addresses }))
    }

    async fn look_up_lease(
        &self,
        link: &mut MultiplexedConnection,
        node: &str,
    ) -> Result<Option<Lease>, RedisError> {
        let lease = table::lease(link, node).await?;
        self.leases.borrow_mut().put(node, lease.clone(), Instant::now());
        Ok(lease)
    }

    async fn rooms(&self) -> Result<Vec<PublishedRoom>, StoreError> {
        self.lookup_links.run(async |link| self.published_rooms(link).await).await
    }

    /// The rooms whose nodes are alive. A key that cannot be read is left out and reported: it must not hide the others.
    async fn published_rooms(
        &self,
        link: &mut MultiplexedConnection,
    ) -> Result<Vec<PublishedRoom>, RedisError> {
        let names = table::room_names(link).await?;
        let rows = table::rows(link, &names.iter().collect::<Vec<_>>()).await?;
        let rows = names.into_iter().zip(rows);
        let rows: Vec<_> =
            rows.filter_map(|(room, row)| self.readable(room.as_str(), row).map(|row| (room, row))).collect();
        let nodes: HashSet<&str> = rows.iter().map(|(_, row)| row.node.as_str()).collect();
        let nodes: Vec<&str> = nodes.into_iter().collect();
        let leases = nodes.iter().zip(table::leases(link, &nodes).await?);
        let alive: HashSet<(&str, u64)> = leases
            .filter_map(|(node, lease)| Some((*node, self.readable(node, lease)?.incarnation)))
            .collect();
        let published = rows.iter().filter(|(_, row)| alive.contains(&(row.node.as_str(), row.incarnation)));
        let published = published.map(|(room, row)| PublishedRoom {
            room: room.clone(),
            node: row.node.clone(),
            since_unix_ms: row.since_unix_ms,
        });
        Ok(published.collect())
    }

    /// What a key holds, if it is there and ours. One that is not is logged now and then.
    fn readable<T>(&self, name: &str, read: table::Read<T>) -> Option<T> {
        let Err(error) = read else { return read.ok().flatten() };
        let now = Instant::now();
        if self.unreadable_logged.get().is_none_or(|logged| now - logged >= UNREADABLE_LOG_INTERVAL) {
            self.unreadable_logged.set(Some(now));
            warn!(name = name, reason:% = error; "a key in Redis cannot be read and is left out");
        }
        None
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

    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>> {
        let room = room.clone();
        self.run(async move |inner| inner.claim(room).await)
    }

    fn renew(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        self.run(async move |inner| inner.renew(claims).await)
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.run(async move |inner| inner.release(vec![claim]).await)
    }

    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        let room = room.clone();
        self.run(async move |inner| inner.locate(room, false).await)
    }

    fn locate_fresh(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        let room = room.clone();
        self.run(async move |inner| inner.locate(room, true).await)
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        self.run(async move |inner| inner.rooms().await)
    }

    fn lease_ttl(&self) -> Option<Duration> {
        Some(self.0.membership.lease_ttl)
    }

    fn renew_lease(&self) -> LocalBoxFuture<'static, Result<LeaseAnswer, StoreError>> {
        self.run(async move |inner| inner.renew_lease().await)
    }

    fn leave(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.run(async move |inner| inner.leave(claims).await)
    }
}

#[cfg(test)]
mod tests;
