//! How a node comes to the cluster: it takes the lease of its name.

use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use synctv_media::cluster::claims::{Lease, LeaseAnswer};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    access::RedisAccess,
    pool::{RedisPool, shown},
    table,
};
use crate::cluster::{redis_store::membership::Membership, store::StoreError};

/// How long to wait before another try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How often to look at a lease that may lapse.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Why a node could not join.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JoinError {
    /// Nothing answers there, or not as Redis does.
    #[error("{url} cannot be used: {reason}")]
    Unreachable {
        /// Where, without a password.
        url: String,
        /// What went wrong last.
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
    redis: RedisConnectionManager,
}

impl Joined {
    /// As what it joined.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The part of access that nodes share.
    pub fn access(&self) -> RedisAccess {
        RedisAccess::new(self.pool(1))
    }

    /// Up to `max` connections.
    pub(super) fn pool(&self, max: u32) -> RedisPool {
        RedisPool::new(self.redis.clone(), self.membership.response_timeout(), max)
    }
}

/// Takes the node's lease. Tries until `deadline` to reach Redis. If the name's last process has not left, waits until
/// its lease lapses, unless it turns out to be alive.
pub async fn join(membership: Membership, deadline: Instant) -> Result<Joined, JoinError> {
    let url = membership.url.to_string();
    let unreachable = |error: StoreError| JoinError::Unreachable { url: url.clone(), reason: error.0 };
    let redis = RedisConnectionManager::new(membership.url.connection_info())
        .map_err(|error| unreachable(shown(&error)))?;
    let joined = Joined { membership, redis };
    let joining = Joining { membership: &joined.membership, pool: joined.pool(1) };
    if let Some(other) = joining.first_lease(deadline).await.map_err(unreachable)? {
        joining.succeed(other).await.map_err(unreachable)??;
    }
    Ok(joined)
}

struct Joining<'a> {
    membership: &'a Membership,
    pool: RedisPool,
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
        // We listen on these ports: whoever had them is dead.
        let is_predecessor = other.addresses == self.membership.addresses;
        let over = is_predecessor.then_some(other.incarnation);
        match self.lease(over).await? {
            LeaseAnswer::Lost(lease) => self.wait_for_lapse(lease).await,
            LeaseAnswer::Kept | LeaseAnswer::Taken => Ok(Ok(())),
        }
    }

    async fn lease(&self, over: Option<u64>) -> Result<LeaseAnswer, StoreError> {
        let Membership { process, addresses, lease_ttl, .. } = self.membership;
        self.pool.run(async |link| table::renew_lease(link, process, addresses, over, *lease_ttl).await).await
    }

    /// Takes the lease when it has lapsed. A lease that gets longer is that of a living process.
    async fn wait_for_lapse(&self, lease: Lease) -> Result<Result<(), JoinError>, StoreError> {
        let node = &self.membership.process.node;
        let mut last_left_ms = u64::MAX;
        loop {
            let left_ms = self.pool.run(async |link| table::lease_left_ms(link, node).await).await?;
            if left_ms > last_left_ms {
                return Ok(Err(JoinError::name_in_use(node, lease)));
            }
            last_left_ms = left_ms;
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
