//! The part that a node takes in the cluster.

use std::time::Duration;

use synctv_media::cluster::claims::{NodeAddresses, Process};

use super::url::RedisUrl;

/// A node of the cluster, and how it takes part.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Where the table is.
    pub url: RedisUrl,
    /// Who this is.
    pub process: Process,
    /// Where others reach it.
    pub addresses: NodeAddresses,
    /// How long the node counts as alive after it last said so.
    pub lease_ttl: Duration,
    /// How long a claim stays that is not renewed.
    pub claim_ttl: Duration,
}

impl Membership {
    /// How long one answer of Redis may take: several fit into a claim's time, and into a lease's.
    pub(super) fn response_timeout(&self) -> Duration {
        (self.lease_ttl / 3).min(Duration::from_secs(1))
    }
}
