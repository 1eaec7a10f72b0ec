//! Access as nodes share it through Redis: their secret, and administrators' orders.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use log::{info, warn};
use synctv_media::{access::Secrets, stream::room::RoomName};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use super::{
    gatekeeper::Gatekeeper,
    judge::Administrator,
    orders::{Command, NAME_MAX_BYTES, ORDERS_MAX, Order},
};
use crate::{
    clock::whole_ms,
    cluster::{redis_store::RedisAccess, store::StoreError},
};

/// Interval at which a node reads what is shared. Revoked tokens are cut within this and a second.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time that one look may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The difference of this node's clock from Redis's above which it is logged, in milliseconds: the leeway of tokens' times is
/// 30 s.
const CLOCK_APART_MAX_MS: u64 = 5_000;

/// The longest that a room is blocked.
const BLOCK_MAX: Duration = Duration::from_secs(24 * 3600);

/// The time that an order to disconnect is passed on.
const KICK_LASTS: Duration = Duration::from_secs(60);

/// The time that a token is revoked. Tokens that are valid for longer are to be signed with another secret.
const REVOKED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A reason for which an order was not given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// There are as many as are kept.
    #[error("limit of administrators' orders reached ({ORDERS_MAX})")]
    TooMany,
    /// A name is longer than any that is kept.
    #[error("the name is empty or has more than {NAME_MAX_BYTES} bytes")]
    Name,
    /// There is no such order to lift, or it has ended.
    #[error("there is no such order in force")]
    NotInForce,
    /// This node obeys it; the others will when the registry answers.
    #[error("this node obeys, the others will as soon as the registry answers")]
    NotPassedOn(#[source] StoreError),
}

/// Gives administrators' orders, to this node and to the others.
#[derive(Debug, Clone)]
pub struct Orders {
    gatekeeper: Gatekeeper,
    cluster: Option<Arc<ClusterSync>>,
}

#[derive(Debug)]
struct ClusterSync {
    redis: RedisAccess,
    /// The secret is set, and the same on all nodes: what Redis has of it does not count.
    has_fixed_secret: bool,
    /// The last version of the shared orders that was read; `None` if they are to be read whatever it is.
    version: Mutex<Option<String>>,
    /// A failure was logged, and no success since.
    is_failing: AtomicBool,
    /// It was logged that the clocks are apart, and they have not been together since.
    is_clock_apart: AtomicBool,
}

impl Orders {
    /// Orders for this node, and for all that share its Redis, if it shares one. Follows the orders that exist. To be called on a
    /// thread of the actor system.
    pub fn new(gatekeeper: Gatekeeper, redis: Option<RedisAccess>, has_fixed_secret: bool) -> Self {
        let cluster = redis.map(|redis| {
            Arc::new(ClusterSync {
                redis,
                has_fixed_secret,
                version: Mutex::default(),
                is_failing: AtomicBool::new(false),
                is_clock_apart: AtomicBool::new(false),
            })
        });
        let orders = Self { gatekeeper, cluster };
        if orders.cluster.is_some() {
            let follower = orders.clone();
            actix_rt::spawn(async move {
                loop {
                    sleep(INTERVAL).await;
                    follower.synchronize().await;
                }
            });
        }
        orders
    }

    /// Looks once at what is shared. Returns when the nodes' secret is known, or could not be read in time.
    pub async fn synchronize(&self) {
        let Some(sync) = &self.cluster else { return };
        let looked = timeout(TIMEOUT, self.follow(sync)).await;
        let looked = looked.unwrap_or_else(|_| Err(StoreError("no answer in time".to_owned())));
        let was_failing = sync.is_failing.swap(looked.is_err(), Ordering::Relaxed);
        if let Err(error) = &looked
            && !was_failing
        {
            warn!(reason:% = error; "the nodes' secret and orders cannot be read");
        }
    }

    /// The gatekeeper of this node.
    pub fn gatekeeper(&self) -> &Gatekeeper {
        &self.gatekeeper
    }

    /// Disconnects the publisher of `room`, and keeps the room from being published for as long as `block` says.
    pub async fn kick_publisher(
        &self,
        _by: &Administrator,
        room: &RoomName,
        block: Option<Duration>,
    ) -> Result<(), OrderError> {
        let mut commands = vec![(Command::KickPublisher { room: room.clone() }, KICK_LASTS)];
        if let Some(block) = block.filter(|block| !block.is_zero()) {
            // First, or the publisher is back before.
            commands.insert(0, (Command::Block { room: room.clone() }, block.min(BLOCK_MAX)));
        }
        self.command(commands).await
    }

    /// Lifts the block of `room`.
    pub async fn unblock(&self, _by: &Administrator, room: &RoomName) -> Result<(), OrderError> {
        self.lift(Command::Unblock { room: room.clone() }).await
    }

    /// Disconnects the viewers of `room` whose tokens have the subject.
    pub async fn kick_viewers(
        &self,
        _by: &Administrator,
        room: &RoomName,
        subject: &str,
    ) -> Result<(), OrderError> {
        let subject = checked(subject)?;
        self.command(vec![(Command::KickViewers { room: room.clone(), subject }, KICK_LASTS)]).await
    }

    /// Revokes the tokens of a name.
    pub async fn revoke(&self, _by: &Administrator, token_id: &str) -> Result<(), OrderError> {
        self.command(vec![(Command::Revoke { token_id: checked(token_id)? }, REVOKED_FOR)]).await
    }

    /// Lifts the revocation of the tokens of a name.
    pub async fn reinstate(&self, _by: &Administrator, token_id: &str) -> Result<(), OrderError> {
        self.lift(Command::Reinstate { token_id: checked(token_id)? }).await
    }

    async fn command(&self, commands: Vec<(Command, Duration)>) -> Result<(), OrderError> {
        let ends = |lasts| self.gatekeeper.nodes().unix_ms() + whole_ms(lasts);
        let dated = commands.into_iter().map(|(command, lasts)| (self.gatekeeper.date(command), ends(lasts)));
        self.give(dated.collect()).await
    }

    /// Lifts what is in force, for as long as that would have lasted. The order may be another node's, of a moment ago.
    async fn lift(&self, lifting: Command) -> Result<(), OrderError> {
        if self.gatekeeper.end_of_lifted(&lifting).is_none() {
            self.synchronize().await;
        }
        let ends_unix_ms = self.gatekeeper.end_of_lifted(&lifting).ok_or(OrderError::NotInForce)?;
        self.give(vec![(self.gatekeeper.date(lifting), ends_unix_ms)]).await
    }

    async fn give(&self, orders: Vec<(Order, u64)>) -> Result<(), OrderError> {
        let mut texts = Vec::new();
        for (order, ends_unix_ms) in orders {
            if !self.gatekeeper.obey(&order, ends_unix_ms) {
                return Err(OrderError::TooMany);
            }
            texts.push((order.to_text(), ends_unix_ms));
        }
        let Some(sync) = &self.cluster else { return Ok(()) };
        let pushed = timeout(TIMEOUT, sync.redis.push_orders(&texts)).await;
        pushed.unwrap_or_else(|_| Err(StoreError("no answer in time".to_owned()))).map_err(|error| {
            // The next look passes on what is missing there.
            sync.set_version(None);
            OrderError::NotPassedOn(error)
        })
    }

    async fn follow(&self, sync: &ClusterSync) -> Result<(), StoreError> {
        let nodes = self.gatekeeper.nodes();
        let shared = sync.redis.look(nodes.current().expose()).await?;
        sync.note_clock(nodes.set_unix_ms(shared.unix_ms));
        if !sync.has_fixed_secret {
            match Secrets::parse(&shared.secret) {
                Ok(secret) => nodes.replace(secret),
                Err(error) => return Err(StoreError(format!("cluster_secret: {error}"))),
            }
        }
        if sync.version().as_ref() == Some(&shared.version) {
            return Ok(());
        }
        let theirs = sync.redis.orders(nodes.unix_ms()).await?;
        for (text, ends_unix_ms) in &theirs {
            if let Some(order) = Order::parse(text) {
                self.gatekeeper.obey(&order, *ends_unix_ms);
            }
        }
        // Orders that a Redis without its data no longer has.
        let mut missing = self.gatekeeper.orders();
        missing.retain(|(text, _)| !theirs.iter().any(|(theirs, _)| theirs == text));
        if !missing.is_empty() {
            info!(orders = missing.len(); "orders passed on");
            sync.redis.push_orders(&missing).await?;
        }
        sync.set_version(Some(shared.version));
        Ok(())
    }
}

impl ClusterSync {
    /// Requests between nodes go by Redis's clock, but the dates in logs and playlists and the times of tokens by the node's.
    fn note_clock(&self, ahead_ms: i64) {
        let is_apart = ahead_ms.unsigned_abs() > CLOCK_APART_MAX_MS;
        if is_apart && !self.is_clock_apart.swap(true, Ordering::Relaxed) {
            warn!(redis_ahead_ms = ahead_ms; "this node's clock differs from Redis's");
        } else if !is_apart {
            self.is_clock_apart.store(false, Ordering::Relaxed);
        }
    }

    fn version(&self) -> Option<String> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_version(&self, version: Option<String>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

fn checked(name: &str) -> Result<String, OrderError> {
    match name.len() {
        1..=NAME_MAX_BYTES => Ok(name.to_owned()),
        _ => Err(OrderError::Name),
    }
}
