//! The node's place in the cluster: which store it shares, under which name and addresses.

pub(crate) mod args;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use log::info;
use synctv_actors::{
    clock::unix_ms,
    cluster::{
        embedded_store::EmbeddedStore,
        origin::NodeAddresses,
        redis_store::{self, JoinError, Joined, Membership, RedisAccess, RedisStore, RedisUrl},
        registry::RegistryHandle,
    },
};
use synctv_media::cluster::{process::Process, standing::NodeStanding};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};

use self::args::RedisSetting;
use crate::{config::Config, listeners::Listeners, ports::Ports, run_error::RunError, upgrade::Taken};

/// The Redis that is tried if none is set.
const DEFAULT_REDIS_URL: &str = "redis://localhost:6379";

/// Time limit for a Redis that is not set: usually there is none, and the start should not wait for it.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(1);

/// Time limit for a Redis that is set: it may be starting as well.
const PATIENCE: Duration = Duration::from_secs(8);

/// The pause before another try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The node's place.
#[derive(Debug, Clone)]
pub struct Place {
    /// The node's name.
    pub node_id: String,
    /// `true` if other nodes may publish rooms as well.
    pub in_cluster: bool,
    /// Distinguishes this process from others of the name; 0 on a node that is alone.
    pub incarnation: u64,
    /// Its registry.
    pub registry: RegistryHandle,
    /// The access state that it shares with other nodes, if there are any.
    pub access: Option<RedisAccess>,
}

/// Starts the node's registry: on the Redis that is set, on the one of this host, or alone.
pub async fn join(config: &Config, listeners: &Listeners, taken: Option<&Taken>) -> Result<Place, RunError> {
    let incarnation = taken.map(|taken| taken.incarnation).filter(|known| *known != 0);
    let incarnation = incarnation.unwrap_or_else(new_incarnation);
    let claims = taken.map(Taken::claims).unwrap_or_default();
    let node_id = config.cluster.node_id(listeners.ports().rtmp);
    let process = Process { node: node_id.clone(), incarnation };
    let heartbeat = config.cluster.heartbeat();
    let joined = match &config.cluster.redis_url {
        Some(RedisSetting::At(url)) => Some(join_set(config, listeners, process, url).await?),
        Some(RedisSetting::Off | RedisSetting::Bad(_)) => {
            info!(node = node_id.as_str(); "this node is alone: REDIS_URL is off");
            None
        }
        None => join_default(config, listeners, process).await?,
    };
    let in_cluster = joined.is_some();
    let access = joined.as_ref().map(Joined::access);
    let registry = match joined {
        Some(joined) => RegistryHandle::resume(heartbeat, claims, move || RedisStore::new(&joined)),
        None => {
            let node_id = node_id.clone();
            let first_sequence = config.hls.settings(false).map_or(0, |hls| hls.first_sequence());
            RegistryHandle::resume(heartbeat, claims.clone(), move || {
                EmbeddedStore::resumed(node_id, first_sequence, &claims)
            })
        }
    };
    let incarnation = if in_cluster { incarnation } else { 0 };
    Ok(Place { node_id, in_cluster, incarnation, registry, access })
}

async fn join_set(
    config: &Config,
    listeners: &Listeners,
    process: Process,
    url: &RedisUrl,
) -> Result<Joined, RunError> {
    try_join(config, listeners, process, url, PATIENCE).await?.map_err(|error| match error {
        JoinError::Unreachable { .. } | JoinError::Unsupported { .. } => RunError::Unreachable(error),
        JoinError::NameInUse { .. } | JoinError::AddressesInUse { .. } => RunError::NameInUse(error),
    })
}

/// Joins at this host's own Redis, if there is one that lets us.
async fn join_default(
    config: &Config,
    listeners: &Listeners,
    process: Process,
) -> Result<Option<Joined>, RunError> {
    let node_id = process.node.clone();
    let Ok(url) = RedisUrl::parse(DEFAULT_REDIS_URL) else { return Ok(None) };
    match try_join(config, listeners, process, &url, DEFAULT_PATIENCE).await? {
        Ok(joined) => Ok(Some(joined)),
        Err(error @ (JoinError::NameInUse { .. } | JoinError::AddressesInUse { .. })) => {
            Err(RunError::NameInUse(error))
        }
        Err(JoinError::Unreachable { reason, .. } | JoinError::Unsupported { reason, .. }) => {
            info!(node = node_id.as_str(), reason = reason.as_str();
                "this node is alone: REDIS_URL is not set, and redis://localhost:6379 cannot be used");
            Ok(None)
        }
    }
}

async fn try_join(
    config: &Config,
    listeners: &Listeners,
    process: Process,
    url: &RedisUrl,
    patience: Duration,
) -> Result<Result<Joined, JoinError>, RunError> {
    let Ports { rtmp, httpflv, hls, .. } = listeners.ports();
    let deadline = Instant::now() + patience;
    let host = match &config.cluster.advertise_host {
        Some(host) => host.clone(),
        None => match address_towards(url, deadline).await {
            Ok(address) => address.to_string(),
            Err(reason) => return Ok(Err(JoinError::Unreachable { url: url.to_string(), reason })),
        },
    };
    let at = |port: u16| match host.parse::<Ipv6Addr>() {
        Ok(address) => SocketAddr::from((address, port)).to_string(),
        Err(_) => format!("{host}:{port}"),
    };
    let membership = Membership {
        url: url.clone(),
        prefix: config.cluster.redis_prefix.clone(),
        process,
        addresses: NodeAddresses { rtmp: at(rtmp), httpflv: at(httpflv), hls: hls.map(at) },
        standing: NodeStanding {
            started_ms: unix_ms(),
            is_draining: false,
            rtmp_url: config.cluster.advertise_rtmp_url.clone(),
        },
        lease_ttl: config.cluster.lease_ttl(),
        claim_ttl: config.cluster.claim_ttl(),
    };
    let joined = redis_store::join(membership, deadline).await;
    Ok(joined.inspect(|joined| announce(joined.membership())))
}

fn announce(membership: &Membership) {
    let Membership { url, process, addresses, .. } = membership;
    info!(
        node = process.node.as_str(), redis:% = url, rtmp = addresses.rtmp.as_str(),
        httpflv = addresses.httpflv.as_str(), hls = addresses.hls.as_deref().unwrap_or("off");
        "this node shares its rooms with others");
}

/// The address that this host has towards Redis, once Redis can be connected to.
async fn address_towards(url: &RedisUrl, deadline: Instant) -> Result<IpAddr, String> {
    loop {
        let reached = timeout_at(deadline, TcpStream::connect((url.host(), url.port()))).await;
        match reached {
            Ok(Ok(socket)) => {
                return socket.local_addr().map(|local| local.ip()).map_err(|error| error.to_string());
            }
            Ok(Err(_)) if Instant::now() + RETRY_INTERVAL < deadline => sleep(RETRY_INTERVAL).await,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("no connection in time".to_owned()),
        }
    }
}

/// A number that no other process of this node has: the standard library seeds its hashers at random.
fn new_incarnation() -> u64 {
    RandomState::new().hash_one(std::process::id()) | 1
}
