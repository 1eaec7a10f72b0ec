//! The registry's requests to its store.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{age::Age, histogram::Histogram, label::label, labelled::Labelled, metric_set::MetricSet};

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
    /// The time since the node's lease was renewed: never, on a node that is alone.
    pub lease: Age,
}

impl Default for RegistryMetrics {
    fn default() -> Self {
        Self {
            requests: Labelled::default(),
            request: Labelled::with(|| Histogram::new(BOUNDS_S)),
            claims_lost: Counter::default(),
            claims: Gauge::default(),
            lease: Age::start(),
        }
    }
}

impl RegistryMetrics {
    /// Registers them under their names.
    pub fn register(&self, registry: &mut MetricSet) {
        registry.register("registry_requests", "Requests to the store of claims", self.requests.clone());
        registry.register("registry_seconds", "Answer times of the store of claims", self.request.clone());
        registry.register("claims", "Rooms that this node has claimed", self.claims.clone());
        registry.register("claims_lost", "Claims lost to another node", self.claims_lost.clone());
    }
}
