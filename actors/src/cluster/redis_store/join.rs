//! Joining the cluster: a node takes the lease of its name.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8::ManageConnection};
use log::{info, warn};
use redis::{ErrorKind, RedisError};
use synctv_media::cluster::claims::{Lease, LeaseAnswer, TableId};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    access::RedisAccess,
    membership::Membership,
    pool::{Connector, LinkError, PooledConnection, RedisPool, shown},
    table::Table,
};
use crate::{clock::whole_ms, cluster::store::StoreError};

/// The pause before another try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Interval between looks at a lease that may lapse.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Two looks at one lease may differ by so much: one of the places that it is in counts backwards from now.
const UNTIL_TOLERANCE_MS: u64 = 50;

/// The part of a lease's time for which this process waits whether an earlier one renews it: a living process does so three
/// times in that time, so that a third would do if no renewal was late.
const RENEWAL_WAIT_DIVISOR: u32 = 2;

/// The reason a node could not join.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JoinError {
    /// Nothing answers there, or not as Redis does.
    #[error("{url} cannot be used: {reason}")]
    Unreachable {
        /// The address, without a password.
        url: String,
        /// The last error.
        reason: String,
    },
    /// The server there cannot keep the table of nodes.
    #[error("{url} cannot be used: {reason}")]
    Unsupported {
        /// The address, without a password.
        url: String,
        /// The kind of server that it is.
        reason: String,
    },
    /// Another process has the name, and lives.
    #[error(
        "NODE_ID={node} is in use: a process with RTMP at {rtmp} and HTTP-FLV at {httpflv} has that name"
    )]
    NameInUse {
        /// The node.
        node: String,
        /// Its RTMP port.
        rtmp: String,
        /// Its HTTP-FLV port.
        httpflv: String,
    },
    /// Another process has the name and this node's addresses, and lives: on another host, as this one has the ports here.
    #[error(
        "NODE_ID={node} is in use: a process that lives has that name, and is at the addresses of this node, RTMP at {rtmp} and HTTP-FLV at {httpflv}; give each host a NODE_ID and an ADVERTISE_HOST of its own"
    )]
    AddressesInUse {
        /// The node.
        node: String,
        /// The RTMP port of both.
        rtmp: String,
        /// The HTTP-FLV port of both.
        httpflv: String,
    },
}

/// A node that has its lease.
#[derive(Debug, Clone)]
pub struct Joined {
    membership: Membership,
    connector: Connector,
    table_id: TableId,
}

impl Joined {
    /// As what it joined.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The part of access that nodes share.
    pub fn access(&self) -> RedisAccess {
        RedisAccess::new(self.pool(1), self.membership.prefix.clone())
    }

    /// Up to `max` connections.
    pub(super) fn pool(&self, max: u32) -> RedisPool {
        RedisPool::new(self.connector.clone(), max)
    }

    /// The memory of the table that has the lease.
    pub(super) fn table_id(&self) -> TableId {
        self.table_id
    }
}

/// Takes the node's lease. Tries until `deadline` to reach Redis.
///
/// If the name's last process has not left, waits until its lease lapses, or, if it had the same addresses, for half of the time
/// that the lease has left: up to half of a lease's lifetime after a crash. Fails if the lease is renewed meanwhile.
pub async fn join(membership: Membership, deadline: Instant) -> Result<Joined, JoinError> {
    let url = membership.url.to_string();
    let unreachable = |error: StoreError| JoinError::Unreachable { url: url.clone(), reason: error.0 };
    let redis = RedisConnectionManager::new(membership.url.connection_info())
        .map_err(|error| unreachable(shown(&error)))?;
    let mut connector =
        Connector { redis, response_timeout: membership.response_timeout(), trusts_ids: true };
    let (first, second) = match two_links(&connector, deadline).await {
        Ok(pool) => pool,
        Err(LinkError::Unsupported(reason)) => {
            return Err(JoinError::Unsupported { url, reason: reason.to_string() });
        }
        Err(error) => return Err(unreachable(StoreError(error.to_string()))),
    };
    connector.trusts_ids = first.table() == second.table();
    warn_of_eviction(&first);
    let table_id = if connector.trusts_ids { first.table() } else { TableId::default() };
    let joined = Joined { membership, connector, table_id };
    let joining =
        Joining { membership: &joined.membership, pool: joined.pool(1), table: joined.membership.table() };
    if let Some(other) = joining.first_lease(deadline).await.map_err(unreachable)? {
        joining.succeed(other).await.map_err(unreachable)??;
    }
    Ok(joined)
}

/// The first connections that can be opened.
async fn two_links(
    connector: &Connector,
    deadline: Instant,
) -> Result<(PooledConnection, PooledConnection), LinkError> {
    let mut last_error = None;
    loop {
        let both = async { Ok((connector.connect().await?, connector.connect().await?)) };
        match timeout_at(deadline, both).await {
            Ok(Ok(pool)) => return Ok(pool),
            Ok(Err(LinkError::Redis(error))) if Instant::now() + RETRY_INTERVAL < deadline => {
                last_error = Some(error);
                sleep(RETRY_INTERVAL).await;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(last_error.unwrap_or_else(no_answer).into()),
        }
    }
}

fn no_answer() -> RedisError {
    (ErrorKind::Io, "Redis does not answer in time").into()
}

fn warn_of_eviction(link: &PooledConnection) {
    if let Some(policy) = link.server().evicts_by() {
        warn!(maxmemory_policy = policy;
            "Redis may evict the table of rooms when it is full, which then is written again; use maxmemory-policy noeviction");
    }
}

struct Joining<'a> {
    membership: &'a Membership,
    pool: RedisPool,
    table: Table,
}

impl Joining<'_> {
    /// The first answer that Redis gives: who has the lease, unless it is ours now.
    async fn first_lease(&self, deadline: Instant) -> Result<Option<Lease>, StoreError> {
        loop {
            match timeout_at(deadline, self.lease(None)).await {
                Ok(Ok(LeaseAnswer::Lost(other))) => return Ok(Some(other)),
                Ok(Ok(LeaseAnswer::Kept | LeaseAnswer::Taken)) => return Ok(None),
                Ok(Err(_)) if Instant::now() + RETRY_INTERVAL < deadline => sleep(RETRY_INTERVAL).await,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.pool.last_error()),
            }
        }
    }

    async fn lease(&self, over: Option<u64>) -> Result<LeaseAnswer, StoreError> {
        let Membership { process, lease_ttl, .. } = self.membership;
        let lease = self.membership.lease(false);
        let renewed = self
            .pool
            .run(async |link| self.table.renew_lease(link, &process.node, &lease, over, *lease_ttl).await);
        Ok(renewed.await?.answer)
    }

    /// Takes the lease when it has lapsed, or earlier from a process that is dead. A lease that gets longer is that of a living
    /// process.
    async fn succeed(&self, lease: Lease) -> Result<Result<(), JoinError>, StoreError> {
        let mut last_until_ms = self.until_ms().await?;
        let dead_at = self.dead_at(&lease, last_until_ms).await?;
        loop {
            // Before the look: a renewal that came in time is seen.
            let is_dead = dead_at.is_some_and(|dead_at| dead_at <= Instant::now());
            let until_ms = self.until_ms().await?;
            if until_ms > last_until_ms + UNTIL_TOLERANCE_MS {
                return Ok(Err(self.in_use_by(lease)));
            }
            last_until_ms = until_ms;
            match self.lease(is_dead.then_some(lease.incarnation)).await? {
                LeaseAnswer::Kept | LeaseAnswer::Taken => return Ok(Ok(())),
                LeaseAnswer::Lost(other) if other.incarnation != lease.incarnation => {
                    return Ok(Err(self.in_use_by(other)));
                }
                LeaseAnswer::Lost(_) => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    /// The time from which a process with this node's addresses is dead unless it has renewed its lease, which lasts until
    /// `until_ms`: this node listens on those ports. Before that, it may live on another host that has the same private address.
    /// `None` if it has other addresses.
    async fn dead_at(&self, lease: &Lease, until_ms: u64) -> Result<Option<Instant>, StoreError> {
        if lease.addresses != self.membership.addresses {
            return Ok(None);
        }
        let now_ms = self.pool.run(async |link| self.table.now_ms(link).await).await?;
        let left = Duration::from_millis(until_ms.saturating_sub(now_ms));
        let wait = left.min(self.membership.lease_ttl / RENEWAL_WAIT_DIVISOR);
        info!(node = self.membership.process.node.as_str(), wait_ms = whole_ms(wait);
            "this node's last process did not leave: waiting to see whether it renews its lease");
        Ok(Some(Instant::now() + wait))
    }

    /// The end of the lease that the node's name has, by the table's clock; 0 if it has none.
    async fn until_ms(&self) -> Result<u64, StoreError> {
        let node = &self.membership.process.node;
        let listed = self.pool.run(async |link| self.table.lease(link, node).await).await?;
        Ok(listed.map_or(0, |listed| listed.until_ms))
    }

    fn in_use_by(&self, lease: Lease) -> JoinError {
        let node = self.membership.process.node.clone();
        let has_our_addresses = lease.addresses == self.membership.addresses;
        let (rtmp, httpflv) = (lease.addresses.rtmp, lease.addresses.httpflv);
        match has_our_addresses {
            true => JoinError::AddressesInUse { node, rtmp, httpflv },
            false => JoinError::NameInUse { node, rtmp, httpflv },
        }
    }
}
