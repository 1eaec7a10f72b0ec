//! A Redis's description of itself, read when a connection is made.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use redis::{ErrorKind, ServerErrorKind, aio::MultiplexedConnection, cmd};
use synctv_media::cluster::claims::TableId;
use thiserror::Error;

/// The reason no table can be kept there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum UnsupportedServer {
    #[error(
        "it is a node of a Redis Cluster, which is not supported: the nodes' table needs one Redis, with or without replicas"
    )]
    Cluster,
    #[error("it is a Sentinel, which is not supported: give the address of the Redis that it watches")]
    Sentinel,
}

/// The part of `INFO` that matters. All of it may be missing: not everybody may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ServerInfo {
    run_id: String,
    mode: String,
    maxmemory: u64,
    policy: String,
}

impl ServerInfo {
    pub async fn ask(connection: &mut MultiplexedConnection) -> Result<Self, redis::RedisError> {
        match cmd("INFO").query_async::<String>(connection).await {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if is_refusal(&error) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.unwrap_or_default().trim().to_owned()
        };
        Self {
            run_id: value("run_id"),
            mode: value("redis_mode"),
            maxmemory: value("maxmemory").parse().unwrap_or(0),
            policy: value("maxmemory_policy"),
        }
    }

    pub fn check(&self) -> Result<(), UnsupportedServer> {
        match self.mode.as_str() {
            "cluster" => Err(UnsupportedServer::Cluster),
            "sentinel" => Err(UnsupportedServer::Sentinel),
            _ => Ok(()),
        }
    }

    /// The id of its process: another one may have another memory.
    pub fn id(&self) -> TableId {
        if self.run_id.is_empty() {
            return TableId::default();
        }
        TableId(BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.run_id))
    }

    /// The policy by which it may throw the table away, if it has one.
    pub fn evicts_by(&self) -> Option<&str> {
        let evicts = self.maxmemory > 0 && !matches!(self.policy.as_str(), "" | "noeviction");
        evicts.then_some(self.policy.as_str())
    }
}

/// The connection is good, but the command is not allowed, or not known to what stands in front of Redis.
fn is_refusal(error: &redis::RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> ServerInfo {
        ServerInfo::parse(&text.replace('\n', "\r\n"))
    }

    #[test]
    fn only_a_single_redis_keeps_a_table() {
        assert_eq!(info("# Server\nredis_mode:standalone\n").check(), Ok(()));
        assert_eq!(info("redis_mode:cluster\n").check(), Err(UnsupportedServer::Cluster));
        assert_eq!(info("redis_mode:sentinel\n").check(), Err(UnsupportedServer::Sentinel));
        assert_eq!(ServerInfo::default().check(), Ok(()), "it does not say");
    }

    #[test]
    fn another_run_is_another_table_and_an_unknown_one_is_none() {
        let [a, b] = ["run_id:aa\n", "run_id:bb\n"].map(|text| info(text).id());
        assert!(a != b && a == info("run_id:aa\n").id() && a != TableId::default());
        assert_eq!(ServerInfo::default().id(), TableId::default());
    }

    #[test]
    fn a_redis_evicts_if_it_has_a_limit_and_a_policy() {
        let text = |max: u64, policy: &str| format!("maxmemory:{max}\nmaxmemory_policy:{policy}\n");
        assert_eq!(info(&text(1, "allkeys-lru")).evicts_by(), Some("allkeys-lru"));
        assert_eq!(info(&text(0, "allkeys-lru")).evicts_by(), None);
        assert_eq!(info(&text(1, "noeviction")).evicts_by(), None);
    }
}
