//! How the registry keeps the node's lease.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use log::{error, info, warn};
use synctv_media::cluster::{
    claims::LeaseAnswer,
    leases::{LeaseChange, NodeLease},
};
use tokio::time::Instant;

use super::{RegistryActor, Renewal};
use crate::cluster::store::{Claim, StoreError};

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
    pub fn new(ttl: Duration) -> Self {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self {
            node_lease: NodeLease::new(ttl_ms, 0),
            origin: Instant::now(),
            next: Next::Unset,
            failure: None,
        }
    }

    /// Why no room can be claimed now.
    pub fn obstacle(&self) -> Option<String> {
        let not_claiming = self.node_lease.may_claim(self.now_ms()).err().map(|reason| reason.to_string());
        self.failure.clone().or(not_claiming)
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
        answer: Result<LeaseAnswer, StoreError>,
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
            Ok(answer) => self.follow(&answer, sent_ms, ctx),
            Err(error) => lease.note_failure(error),
        }
    }

    fn follow(&mut self, answer: &LeaseAnswer, sent_ms: u64, ctx: &mut Context<Self>) {
        let Some(lease) = &mut self.lease else { return };
        if lease.failure.take().is_some() {
            info!("the store of claims answers again");
        }
        let now_ms = lease.now_ms();
        match lease.node_lease.renewed(answer, sent_ms, now_ms) {
            LeaseChange::None => {}
            LeaseChange::Return => {
                self.lease_generation += 1;
                warn!(claims = self.claims.len(); "this node's lease was gone: its claims are renewed");
                return self.renew_claims(ctx);
            }
            LeaseChange::Leave => self.lose_all(answer, ctx),
        }
        if let Renewal::Due = self.renewal {
            self.renew_claims(ctx);
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
    /// An outage is logged once.
    fn note_failure(&mut self, error: StoreError) {
        if self.failure.is_none() {
            warn!(reason:% = error; "the store of claims does not answer: what is live stays live, new rooms are refused");
        }
        self.failure = Some(error.0);
    }
}
