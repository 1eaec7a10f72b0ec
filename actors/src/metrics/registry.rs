//! The registry's requests to its store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::{histogram::Histogram, label::label, labelled::Labelled};
use crate::clock::SteadyClock;

/// The bounds of a store's answer, in seconds.
const BOUNDS_S: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];

label!(
    /// A request to the store of claims.
    RegistryOperation, "op" {
        /// Claim a room.
        Claim = "claim",
        /// Renew the node's claims.
        Renew = "renew",
        /// Renew the node's lease.
        Lease = "lease",
        /// Release a room.
        Release = "release",
        /// Locate a room.
        Locate = "locate",
        /// List the rooms of all nodes.
        List = "list",
    }
);

label!(
    /// The outcome of a request to the store of claims.
    RegistryOutcome, "outcome" {
        /// It was done.
        Ok = "ok",
        /// Another node has the room.
        Refused = "refused",
        /// The store did not answer, or said that it cannot.
        Error = "error",
    }
);

/// The metrics of a node's registry.
#[derive(Debug, Clone)]
pub struct RegistryMetrics {
    /// Requests to the store.
    pub requests: Labelled<(RegistryOperation, RegistryOutcome), Counter>,
    /// The time that they took.
    pub request: Labelled<RegistryOperation, Histogram>,
    /// Claims that were lost to another node.
    pub claims_lost: Counter,
    /// Claims that the node has.
    pub claims: Gauge,
    /// The age of its lease.
    pub lease: LeaseAge,
}

/// The time since the node's lease was renewed. Clones share it.
#[derive(Debug, Clone)]
pub struct LeaseAge {
    clock: SteadyClock,
    /// 0 as long as it was not.
    renewed_ms: Arc<AtomicU64>,
}

impl LeaseAge {
    fn start() -> Self {
        Self { clock: SteadyClock::start(), renewed_ms: Arc::default() }
    }

    /// Notes that the lease was renewed just now.
    pub(crate) fn note_renewal(&self) {
        self.renewed_ms.store(self.clock.now_ms().max(1), Ordering::Relaxed);
    }

    /// Returns the time since the last renewal; `None` if there was none, as on a node that is alone.
    pub fn get(&self) -> Option<Duration> {
        let renewed_ms = self.renewed_ms.load(Ordering::Relaxed);
        (renewed_ms > 0).then(|| Duration::from_millis(self.clock.now_ms().saturating_sub(renewed_ms)))
    }
}

impl Default for RegistryMetrics {
    fn default() -> Self {
        Self {
            requests: Labelled::default(),
            request: Labelled::with(|| Histogram::new(BOUNDS_S)),
            claims_lost: Counter::default(),
            claims: Gauge::default(),
            lease: LeaseAge::start(),
        }
    }
}

impl RegistryMetrics {
    /// Registers them under their names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("registry_requests", "Requests to the store of claims", self.requests.clone());
        registry.register("registry_seconds", "Answer times of the store of claims", self.request.clone());
        registry.register("claims", "Rooms that this node has claimed", self.claims.clone());
        registry.register("claims_lost", "Claims lost to another node", self.claims_lost.clone());
    }
}
