//! The node's lease, and the timer of its next renewal.

use std::time::Duration;

use actix::SpawnHandle;
use log::{info, warn};
use synctv_media::cluster::{claims::TableId, leases::NodeLease};

use crate::{
    clock::{SteadyClock, whole_ms},
    cluster::store::StoreError,
};

/// The lease, and when it is renewed next.
pub(super) struct LeaseKeeper {
    pub node_lease: NodeLease,
    /// The clock of [`NodeLease`]'s times.
    clock: SteadyClock,
    pub next: Next,
    /// The reason the last renewal failed.
    pub failure: Option<String>,
    /// The store has no room for new claims.
    pub is_full: bool,
}

pub(super) enum Next {
    /// Not before it is asked for.
    Unset,
    /// At a timer.
    Timer(SpawnHandle),
    /// One is under way, with the standing of the moment it was sent.
    UnderWay { again: bool },
}

impl LeaseKeeper {
    pub fn new(ttl: Duration, table: TableId) -> Self {
        Self {
            node_lease: NodeLease::new(whole_ms(ttl), table, 0),
            clock: SteadyClock::start(),
            next: Next::Unset,
            failure: None,
            is_full: false,
        }
    }

    /// The reason no room can be claimed now.
    pub fn obstacle(&self) -> Option<String> {
        let not_claiming = self.node_lease.may_claim(self.now_ms()).err().map(|reason| reason.to_string());
        let full = self.is_full.then(|| "Redis is full (maxmemory is reached)".to_owned());
        self.failure.clone().or(full).or(not_claiming)
    }

    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.node_lease.renewal_interval_ms())
    }
}

impl LeaseKeeper {
    /// Notes whether the store has room for new claims. The beginning and the end of a shortage are logged.
    pub fn note_full(&mut self, is_full: bool) {
        match (std::mem::replace(&mut self.is_full, is_full), is_full) {
            (false, true) => {
                warn!("Redis is full (maxmemory is reached): what is live stays live, new rooms are refused");
            }
            (true, false) => info!("Redis has room again"),
            _ => {}
        }
    }

    /// An outage is logged once.
    pub fn note_failure(&mut self, error: StoreError) {
        if self.failure.is_none() {
            warn!(reason:% = error; "registry unreachable: what is live stays live, new rooms are refused");
        }
        self.failure = Some(error.0);
    }
}
