//! Leases of other nodes, known for a moment, so that most look-ups of rooms cost one round trip.

use std::{collections::HashMap, time::Duration};

use synctv_media::cluster::claims::Lease;
use tokio::time::Instant;

/// Time for which a lease is cached: the node may be dead after it.
const KNOWN_FOR: Duration = Duration::from_secs(2);

/// Nodes that are remembered.
const NODES_MAX: usize = 1000;

/// By node.
#[derive(Debug, Default)]
pub(super) struct LeaseCache(HashMap<String, (Instant, Lease)>);

impl LeaseCache {
    /// The lease of `node`, if it was that of `incarnation` a moment ago.
    pub fn get(&self, node: &str, incarnation: u64, now: Instant) -> Option<Lease> {
        let (since, lease) = self.0.get(node)?;
        let is_known = now.duration_since(*since) < KNOWN_FOR && lease.incarnation == incarnation;
        is_known.then(|| lease.clone())
    }

    /// Notes what the table says of `node`.
    pub fn put(&mut self, node: &str, lease: Option<Lease>, now: Instant) {
        if self.0.len() >= NODES_MAX {
            self.0.clear();
        }
        match lease {
            Some(lease) => self.0.insert(node.to_owned(), (now, lease)),
            None => self.0.remove(node),
        };
    }
}
