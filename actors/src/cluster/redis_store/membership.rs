//! The part that a node takes in the cluster.

use std::time::Duration;

use synctv_media::cluster::{
    claims::{Lease, NodeAddresses},
    process::Process,
    standing::NodeStanding,
};

use super::{keys::KeyPrefix, table::Table, url::RedisUrl};

/// Maximum time for one answer of Redis. Tests are about what it answers: on a busy machine, that may take longer.
const RESPONSE_TIMEOUT_MAX: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });

/// A node of the cluster, and how it takes part.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The address of the table.
    pub url: RedisUrl,
    /// The prefix of its keys.
    pub prefix: KeyPrefix,
    /// This process.
    pub process: Process,
    /// The addresses at which others reach it.
    pub addresses: NodeAddresses,
    /// The facts by which others choose where to send publishers and players.
    pub standing: NodeStanding,
    /// The lifetime of the node's lease.
    pub lease_ttl: Duration,
    /// The lifetime of a room's entry that is not renewed, and of a dead node's claims.
    pub claim_ttl: Duration,
}

impl Membership {
    /// The lease of this process.
    pub(super) fn lease(&self, is_draining: bool) -> Lease {
        let standing = NodeStanding { is_draining, ..self.standing.clone() };
        Lease { incarnation: self.process.incarnation, addresses: self.addresses.clone(), standing }
    }

    /// Time limit for one answer of Redis: several fit into a claim's time, and into a lease's.
    pub(super) fn response_timeout(&self) -> Duration {
        (self.lease_ttl / 3).min(RESPONSE_TIMEOUT_MAX)
    }

    pub(super) fn table(&self) -> Table {
        Table::new(self.prefix.clone(), self.claim_ttl)
    }
}
