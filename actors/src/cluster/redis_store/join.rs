//! Joining the cluster: a node takes the lease of its name.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8::ManageConnection};
use log::warn;
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
use crate::cluster::store::StoreError;

/// The pause before another try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Interval between looks at a lease that may lapse.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Two looks at one lease may differ by so much: one of the places that it is in counts backwards from now.
const UNTIL_TOLERANCE_MS: u64 = 50;

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

/// Takes the node's lease. Tries until `deadline` to reach Redis. If the name's last process has not left, waits until
/// its lease lapses, unless it turns out to be alive.
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

    /// Takes the lease from `other`, at once or when it has lapsed.
    async fn succeed(&self, other: Lease) -> Result<Result<(), JoinError>, StoreError> {
        // We listen on these ports: their earlier owner is dead.
        let is_predecessor = other.addresses == self.membership.addresses;
        let over = is_predecessor.then_some(other.incarnation);
        match self.lease(over).await? {
            LeaseAnswer::Lost(lease) => self.wait_for_lapse(lease).await,
            LeaseAnswer::Kept | LeaseAnswer::Taken => Ok(Ok(())),
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

    /// Takes the lease when it has lapsed. A lease that gets longer is that of a living process.
    async fn wait_for_lapse(&self, lease: Lease) -> Result<Result<(), JoinError>, StoreError> {
        let node = &self.membership.process.node;
        let mut last_until_ms = u64::MAX - UNTIL_TOLERANCE_MS;
        loop {
            let listed = self.pool.run(async |link| self.table.lease(link, node).await).await?;
            let until_ms = listed.map_or(0, |listed| listed.until_ms);
            if until_ms > last_until_ms + UNTIL_TOLERANCE_MS {
                return Ok(Err(JoinError::name_in_use(node, lease)));
            }
            last_until_ms = until_ms;
            match self.lease(None).await? {
                LeaseAnswer::Kept | LeaseAnswer::Taken => return Ok(Ok(())),
                LeaseAnswer::Lost(other) if other.incarnation != lease.incarnation => {
                    return Ok(Err(JoinError::name_in_use(node, other)));
                }
                LeaseAnswer::Lost(_) => sleep(LOOK_INTERVAL).await,
            }
        }
    }
}

impl JoinError {
    fn name_in_use(node: &str, lease: Lease) -> Self {
        let (rtmp, httpflv) = (lease.addresses.rtmp, lease.addresses.httpflv);
        Self::NameInUse { node: node.to_owned(), rtmp, httpflv }
    }
}
