//! The part that a node takes in the cluster.

use std::time::Duration;

use synctv_media::cluster::{claims::NodeAddresses, process::Process};

use super::{keys::KeyPrefix, table::Table, url::RedisUrl};

/// A node of the cluster, and how it takes part.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Where the table is.
    pub url: RedisUrl,
    /// What the names of its keys begin with.
    pub prefix: KeyPrefix,
    /// Who this is.
    pub process: Process,
    /// Where others reach it.
    pub addresses: NodeAddresses,
    /// How long the node counts as alive after it last said so.
    pub lease_ttl: Duration,
    /// How long a room's entry stays that is not renewed, and the claims of a node that is dead.
    pub claim_ttl: Duration,
}

impl Membership {
    /// How long one answer of Redis may take: several fit into a claim's time, and into a lease's.
    pub(super) fn response_timeout(&self) -> Duration {
        (self.lease_ttl / 3).min(Duration::from_secs(1))
    }

    pub(super) fn table(&self) -> Table {
        Table::new(self.prefix.clone(), self.claim_ttl)
    }
}
