//! Settings of a node's place in its cluster.

use std::{convert::Infallible, net::IpAddr, time::Duration};

use clap::{Args, value_parser};
use synctv_actors::cluster::redis_store::{KeyPrefix, RedisUrl, RedisUrlError};
use synctv_media::cluster::standing::NodeUrl;

use crate::config::parse::parse_name;

/// RTMP's own port.
const RTMP_PORT: u16 = 1935;

/// Claims are renewed so often within their time to live.
const HEARTBEATS_PER_CLAIM_TTL: u32 = 5;

/// The Redis that the nodes share, and this node among them.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Redis that the nodes share, redis://[:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS, or "off" to run alone
    /// [default: redis://localhost:6379 if it answers at the start, else "off"]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the brackets are for the help")]
    #[arg(long, env, hide_env_values = true, value_parser = RedisSetting::parse)]
    pub redis_url: Option<RedisSetting>,

    /// Prefix of this server's keys in Redis, for a Redis that other applications use; the same on all nodes
    #[arg(long, env, default_value = "", hide_default_value = true, value_parser = parse_prefix)]
    pub redis_prefix: KeyPrefix,

    /// Name of this node in the cluster and in logs, unique among the nodes
    /// [default: the host's name, and the RTMP port unless that is 1935]
    #[arg(long, env, value_parser = parse_name)]
    pub node_id: Option<String>,

    /// Host name or address at which other nodes reach this one
    /// [default: the address that this host has towards Redis]
    #[arg(long, env, value_parser = parse_host)]
    pub advertise_host: Option<String>,

    /// Address at which encoders and RTMP players reach this node itself, rtmp://HOST[:PORT]/APP; draining nodes send
    /// clients there that take reconnect requests
    /// [default: none, they connect to the address that they have]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the brackets are for the help")]
    #[arg(long, env, value_parser = parse_node_url)]
    pub advertise_rtmp_url: Option<NodeUrl>,

    /// Lifetime of a node's lease, in milliseconds; if it is not renewed within that, other nodes may take its rooms
    #[arg(long, env, default_value_t = 10_000, value_parser = value_parser!(u32).range(1000..=60_000))]
    pub lease_ttl_ms: u32,

    /// Lifetime of a room's claim in Redis, in seconds; it is renewed five times within that
    #[arg(long, env, default_value_t = 300, value_parser = value_parser!(u32).range(5..=3600))]
    pub claim_ttl_s: u32,

    /// Time that a room of another node is still pulled after its last viewer leaves, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(1..=3600))]
    pub pull_linger_s: u32,

    /// Time that viewers of a pulled room are kept while no node publishes it, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(0..=3600))]
    pub pull_grace_s: u32,
}

impl ClusterArgs {
    /// This node's name, if its RTMP port is `rtmp_port`. Several nodes of one host have different ones.
    pub fn node_id(&self, rtmp_port: u16) -> String {
        match (&self.node_id, rtmp_port) {
            (Some(name), _) => name.clone(),
            (None, RTMP_PORT) => host_name(),
            (None, port) => format!("{}-{port}", host_name()),
        }
    }

    /// Lifetime of the node's lease.
    pub fn lease_ttl(&self) -> Duration {
        Duration::from_millis(self.lease_ttl_ms.into())
    }

    /// Lifetime of a claim that is not renewed.
    pub fn claim_ttl(&self) -> Duration {
        Duration::from_secs(self.claim_ttl_s.into())
    }

    /// Interval between two renewals of a claim.
    pub fn heartbeat(&self) -> Duration {
        self.claim_ttl() / HEARTBEATS_PER_CLAIM_TTL
    }
}

/// The Redis that a node joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisSetting {
    /// The one at this address.
    At(RedisUrl),
    /// None: this node is alone.
    Off,
    /// The setting is no address. It is not kept, as it may hold a password.
    Bad(RedisUrlError),
}

impl RedisSetting {
    /// Never fails, as the error would be shown with the value.
    fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(match RedisUrl::parse(text) {
            _ if text == "off" => Self::Off,
            Ok(url) => Self::At(url),
            Err(error) => Self::Bad(error),
        })
    }
}

/// The host's name, if it can name a node.
fn host_name() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    parse_name(&name).unwrap_or_else(|_| "node".to_owned())
}

fn parse_host(text: &str) -> Result<String, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => Err("no other node can reach that".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(_) => parse_name(text),
    }
}

fn parse_node_url(text: &str) -> Result<NodeUrl, String> {
    NodeUrl::new(text).map_err(|error| error.to_string())
}

fn parse_prefix(text: &str) -> Result<KeyPrefix, String> {
    KeyPrefix::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parse;

    #[test]
    fn a_bad_redis_url_is_named_without_what_may_be_a_password() {
        for bad in ["http://:secret@h", "redis://:loud@h/x", ":secret@h"] {
            let line = parse(&["--redis-url", bad]).unwrap_err().line();
            assert!(line.contains("REDIS_URL") && !line.contains("loud"), "{line}");
        }
    }

    #[test]
    fn redis_can_be_turned_off_and_its_password_is_never_shown() {
        assert_eq!(parse(&["--redis-url", "off"]).unwrap().cluster.redis_url, Some(RedisSetting::Off));
        assert_eq!(parse(&[]).unwrap().cluster.redis_url, None);
        let config = parse(&["--redis-url", "redis://:loud@h"]).unwrap();
        assert!(matches!(config.cluster.redis_url, Some(RedisSetting::At(_))));
        assert!(!format!("{config:?}").contains("loud"));
    }

    #[test]
    fn nodes_of_one_host_differ_by_their_port() {
        let cluster = parse(&[]).unwrap().cluster;
        assert_eq!(cluster.node_id(1935), host_name());
        assert_eq!(cluster.node_id(2935), format!("{}-2935", host_name()));
        assert_eq!(parse(&["--node-id", "n1"]).unwrap().cluster.node_id(2935), "n1");
    }
}
