//! How the registry keeps the node's lease.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use log::{error, info, warn};
use synctv_media::cluster::{
    claims::{LeaseAnswer, TableId},
    leases::{LeaseChange, NodeLease},
};
use tokio::time::Instant;

use super::{RegistryActor, Renewal};
use crate::cluster::store::{Claim, LeaseRenewal, StoreError};

/// How soon a renewal that failed is tried again, at the latest.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// The lease, and when it is renewed next.
pub(super) struct LeaseKeeper {
    node_lease: NodeLease,
    /// Times of [`NodeLease`] are counted from here.
    origin: Instant,
    next: Next,
    /// Why the last renewal failed.
    failure: Option<String>,
    /// The store has no room for new claims.
    is_full: bool,
}

enum Next {
    /// Not before it is asked for.
    Unset,
    /// At a timer.
    Timer(SpawnHandle),
    /// One is under way.
    UnderWay,
}

impl LeaseKeeper {
    pub fn new(ttl: Duration, table: TableId) -> Self {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self {
            node_lease: NodeLease::new(ttl_ms, table, 0),
            origin: Instant::now(),
            next: Next::Unset,
            failure: None,
            is_full: false,
        }
    }

    /// Why no room can be claimed now.
    pub fn obstacle(&self) -> Option<String> {
        let not_claiming = self.node_lease.may_claim(self.now_ms()).err().map(|reason| reason.to_string());
        let full = self.is_full.then(|| "Redis is full (maxmemory is reached)".to_owned());
        self.failure.clone().or(full).or(not_claiming)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.node_lease.renewal_interval_ms())
    }
}

impl RegistryActor {
    /// Renews the lease, if there is one, and goes on doing so.
    pub(super) fn renew_lease_now(&mut self, ctx: &mut Context<Self>) {
        let Some(lease) = self.lease.as_mut().filter(|_| !self.is_leaving) else { return };
        match std::mem::replace(&mut lease.next, Next::UnderWay) {
            Next::UnderWay => return,
            Next::Timer(timer) => {
                ctx.cancel_future(timer);
            }
            Next::Unset => {}
        }
        let sent_ms = lease.now_ms();
        let renewed = self.store.renew_lease().into_actor(self);
        ctx.spawn(renewed.map(move |answer, registry, ctx| registry.lease_renewed(answer, sent_ms, ctx)));
    }

    fn lease_renewed(
        &mut self,
        answer: Result<LeaseRenewal, StoreError>,
        sent_ms: u64,
        ctx: &mut Context<Self>,
    ) {
        let Some(lease) = &mut self.lease else { return };
        let interval = lease.interval();
        let next = match &answer {
            Ok(_) => interval.saturating_sub(Duration::from_millis(lease.now_ms().saturating_sub(sent_ms))),
            Err(_) => interval.min(RETRY_INTERVAL_MAX),
        };
        lease.next = Next::Timer(ctx.run_later(next, |registry, ctx| {
            if let Some(lease) = &mut registry.lease {
                lease.next = Next::Unset;
            }
            registry.renew_lease_now(ctx);
        }));
        match answer {
            Ok(renewal) => self.follow(&renewal, sent_ms, ctx),
            Err(error) => lease.note_failure(error),
        }
    }

    fn follow(&mut self, renewal: &LeaseRenewal, sent_ms: u64, ctx: &mut Context<Self>) {
        let Some(lease) = &mut self.lease else { return };
        if lease.failure.take().is_some() {
            info!("the store of claims answers again");
        }
        lease.note_full(renewal.is_full);
        let now_ms = lease.now_ms();
        match lease.node_lease.renewed(&renewal.answer, renewal.table, sent_ms, now_ms) {
            LeaseChange::None => {}
            LeaseChange::Return => {
                self.lease_generation += 1;
                warn!(claims = self.claims.len();
                    "this node's lease was gone, or the store is another one: its claims are renewed");
                self.reserve_again(ctx);
                return self.renew_claims(ctx);
            }
            LeaseChange::Leave => self.lose_all(&renewal.answer, ctx),
        }
        match self.renewal {
            Renewal::Due => self.renew_claims(ctx),
            Renewal::Idle | Renewal::UnderWay { .. } => self.audit(ctx),
        }
    }

    fn lose_all(&mut self, answer: &LeaseAnswer, ctx: &mut Context<Self>) {
        let usurper = match answer {
            LeaseAnswer::Lost(lease) => lease.addresses.rtmp.as_str(),
            LeaseAnswer::Kept | LeaseAnswer::Taken => "",
        };
        error!(claims = self.claims.len(), usurper = usurper; "another process runs under this node's NODE_ID");
        let owners: Vec<_> =
            self.claims.values().map(|held| (held.claim.clone(), held.owner.clone())).collect();
        for (claim, owner) in owners {
            owner.do_send(super::ClaimLost { epoch: claim.epoch });
            let claim: Claim = claim;
            self.release(claim, ctx);
        }
    }
}

impl LeaseKeeper {
    /// The beginning and the end are logged.
    fn note_full(&mut self, is_full: bool) {
        match (std::mem::replace(&mut self.is_full, is_full), is_full) {
            (false, true) => {
                warn!("Redis is full (maxmemory is reached): what is live stays live, new rooms are refused");
            }
            (true, false) => info!("Redis has room again"),
            _ => {}
        }
    }

    /// An outage is logged once.
    fn note_failure(&mut self, error: StoreError) {
        if self.failure.is_none() {
            warn!(reason:% = error; "the store of claims does not answer: what is live stays live, new rooms are refused");
        }
        self.failure = Some(error.0);
    }
}
