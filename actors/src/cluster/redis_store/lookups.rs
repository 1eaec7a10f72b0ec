//! Questions about the table: where rooms are and were, and whether it agrees with what this node knows.

use std::collections::{HashMap, HashSet};

use redis::RedisError;
use synctv_media::{
    cluster::{claims::Lease, numbers::NumberHolder, process::Process},
    stream::room::RoomName,
};
use tokio::time::Instant;

use super::{
    Inner,
    pool::PooledConnection,
    rows::{ListedLease, Listing, RoomRow, TracedRow},
};
use crate::{
    clock::whole_ms,
    cluster::{
        origin::{LiveNode, Origin, PastOrigin, PublishedRoom, Trace},
        store::{Audit, Claim, StoreError},
    },
};

/// Time for which a node that gave a room back is asked for its segments, in milliseconds. The node keeps them through
/// the publisher's grace and the playlist's end.
const LEFT_MAX_MS: u64 = 60_000;

impl Inner {
    pub(super) async fn trace(&self, room: RoomName, fresh: bool) -> Result<Trace, StoreError> {
        self.lookup_links.run(async |link| self.trace_over(link, &room, fresh).await).await
    }

    async fn trace_over(
        &self,
        link: &mut PooledConnection,
        room: &RoomName,
        fresh: bool,
    ) -> Result<Trace, RedisError> {
        let TracedRow { row, is_reserved, holders, now_ms } = self.table.trace(link, room).await?;
        let current = match row {
            Some(row) => self.origin(link, row, fresh).await?,
            None => None,
        };
        let mut past = Vec::with_capacity(holders.len());
        for holder in holders {
            past.push(self.past_origin(link, holder, now_ms, fresh).await?);
        }
        Ok(Trace { current, is_reserved, holders: past })
    }

    /// The node that has the room, if it is another one that lives.
    async fn origin(
        &self,
        link: &mut PooledConnection,
        row: RoomRow,
        fresh: bool,
    ) -> Result<Option<Origin>, RedisError> {
        if row.process.node == self.membership.process.node {
            return Ok(None);
        }
        let lease = self.lease_of(link, &row.process, fresh).await?;
        Ok(lease.map(|lease| Origin { node: row.process.node, epoch: row.epoch, addresses: lease.addresses }))
    }

    async fn past_origin(
        &self,
        link: &mut PooledConnection,
        holder: NumberHolder,
        now_ms: u64,
        fresh: bool,
    ) -> Result<PastOrigin, RedisError> {
        let is_own = holder.process == self.membership.process;
        let may_answer = match holder.left_ms {
            _ if is_own => true,
            Some(left_ms) => now_ms.saturating_sub(left_ms) < LEFT_MAX_MS,
            None => self.lease_of(link, &holder.process, fresh).await?.is_some(),
        };
        let NumberHolder { process, first_sequence, hls, .. } = holder;
        Ok(PastOrigin { node: process.node, hls, first_sequence, is_own, may_answer })
    }

    /// The lease of a process, if it has one, mostly from memory.
    async fn lease_of(
        &self,
        link: &mut PooledConnection,
        process: &Process,
        fresh: bool,
    ) -> Result<Option<Lease>, RedisError> {
        let known = self.leases.borrow().get(&process.node, process.incarnation, Instant::now());
        let lease = match known {
            Some(lease) if !fresh => Some(lease),
            _ => self.look_up_lease(link, &process.node).await?,
        };
        Ok(lease.filter(|lease| lease.incarnation == process.incarnation))
    }

    async fn look_up_lease(
        &self,
        link: &mut PooledConnection,
        node: &str,
    ) -> Result<Option<Lease>, RedisError> {
        let lease = self.table.lease(link, node).await?.map(|listed| listed.lease);
        self.leases.borrow_mut().put(node, lease.clone(), Instant::now());
        Ok(lease)
    }

    pub(super) async fn rooms(&self) -> Result<Vec<PublishedRoom>, StoreError> {
        self.lookup_links.run(async |link| self.rooms_over(link).await).await
    }

    /// The rooms whose nodes are alive.
    async fn rooms_over(&self, link: &mut PooledConnection) -> Result<Vec<PublishedRoom>, RedisError> {
        let listing = self.table.listing(link).await?;
        let holders: HashSet<&Process> = listing.rooms.iter().map(|(_, row)| &row.process).collect();
        let mut alive = HashSet::new();
        for process in holders {
            if listing.is_alive(process) || self.lease_of(link, process, true).await?.is_some() {
                alive.insert(process.clone());
            }
        }
        let living = listing.rooms.into_iter().filter(|(_, row)| alive.contains(&row.process));
        Ok(living
            .map(|(room, row)| PublishedRoom {
                room,
                node: row.process.node,
                since_unix_ms: row.since_unix_ms,
            })
            .collect())
    }

    pub(super) async fn nodes(&self) -> Result<Vec<LiveNode>, StoreError> {
        let listing = self.lookup_links.run(async |link| self.table.listing(link).await).await?;
        let (own, now_ms) = (&self.membership.process.node, listing.now_ms);
        let others = listing.leases.into_iter();
        let others = others.filter(|(node, listed)| node != own && listed.until_ms > now_ms);
        let live = |(name, ListedLease { lease, .. })| LiveNode {
            name,
            addresses: lease.addresses,
            standing: lease.standing,
        };
        Ok(others.map(live).collect())
    }

    pub(super) async fn audit(&self, claims: Vec<Claim>) -> Result<Audit, StoreError> {
        self.pool.run(async |link| self.audit_over(link, &claims).await).await
    }

    async fn audit_over(&self, link: &mut PooledConnection, claims: &[Claim]) -> Result<Audit, RedisError> {
        let listing = self.table.listing(link).await?;
        self.note_epoch(listing.last_epoch());
        self.forget_long_dead(link, &listing).await?;
        let own = &self.membership.process;
        self.table.forget_offers(link, own, &listing.lapsed_offers).await?;
        let listed: HashMap<&RoomName, u64> = listing
            .rooms
            .iter()
            .filter(|(_, row)| row.process == *own)
            .map(|(room, row)| (room, row.epoch))
            .collect();
        let is_listed = claims.iter().all(|claim| listed.get(&claim.room) == Some(&claim.epoch));
        let is_incomplete = !is_listed || !self.are_shown(link, claims).await?;
        let claims = listed.into_iter().map(|(room, epoch)| Claim { room: room.clone(), epoch });
        Ok(Audit { claims: claims.collect(), is_incomplete })
    }

    /// Returns whether people see all of them in Redis, as far as that is possible.
    async fn are_shown(&self, link: &mut PooledConnection, claims: &[Claim]) -> Result<bool, RedisError> {
        let foreign = self.foreign.borrow().clone();
        let shown = claims.iter().filter(|claim| !foreign.contains(&claim.room));
        let (rooms, epochs): (Vec<_>, Vec<_>) = shown.map(|claim| (&claim.room, claim.epoch)).unzip();
        let found = self.table.shown_epochs(link, &rooms).await?;
        Ok(found.into_iter().zip(epochs).all(|(found, epoch)| found.is_ok_and(|found| found == Some(epoch))))
    }

    /// Entries that dead nodes left count for nothing, and would stay for ever.
    async fn forget_long_dead(
        &self,
        link: &mut PooledConnection,
        listing: &Listing,
    ) -> Result<(), RedisError> {
        let patience = self.membership.claim_ttl;
        for (node, rooms) in listing.long_dead(whole_ms(patience)) {
            self.table.forget_dead(link, node, &rooms, patience).await?;
        }
        Ok(())
    }
}
