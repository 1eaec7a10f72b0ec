//! The registry's renewal of the node's lease.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::{error, info, warn};
use synctv_media::cluster::{claims::LeaseAnswer, leases::LeaseChange};

use super::{RegistryActor, Renewal};
use crate::cluster::{
    registry::lease_keeper::Next,
    store::{Claim, LeaseRenewal, StoreError},
};

/// Maximum time before a failed renewal is tried again.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(1);

impl RegistryActor {
    /// Renews the lease, if there is one, and goes on doing so.
    pub(super) fn renew_lease_now(&mut self, ctx: &mut Context<Self>) {
        let Some(lease) = self.lease.as_mut().filter(|_| !self.is_leaving) else { return };
        match std::mem::replace(&mut lease.next, Next::UnderWay { again: false }) {
            under_way @ Next::UnderWay { .. } => {
                lease.next = under_way;
                return;
            }
            Next::Timer(timer) => {
                ctx.cancel_future(timer);
            }
            Next::Unset => {}
        }
        let sent_ms = lease.now_ms();
        let renewed = self.store.renew_lease().into_actor(self);
        ctx.spawn(renewed.map(move |answer, registry, ctx| registry.lease_renewed(answer, sent_ms, ctx)));
    }

    /// Renews the lease with the present addresses and standing. If a renewal is under way, another one follows it.
    pub(super) fn renew_lease_again(&mut self, ctx: &mut Context<Self>) {
        match self.lease.as_mut().map(|lease| &mut lease.next) {
            Some(Next::UnderWay { again }) => *again = true,
            _ => self.renew_lease_now(ctx),
        }
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
            Ok(_) if matches!(lease.next, Next::UnderWay { again: true }) => Duration::ZERO,
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
            info!("registry reachable again");
        }
        lease.note_full(renewal.is_full);
        let now_ms = lease.now_ms();
        match lease.node_lease.renewed(&renewal.answer, renewal.table, sent_ms, now_ms) {
            LeaseChange::None => {}
            LeaseChange::Return => {
                self.lease_generation += 1;
                warn!(claims = self.claims.len();
                    "lease lost or store replaced: this node's claims are renewed");
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
        self.claims.values().for_each(|held| held.owner.notify_lost(held.claim.epoch));
        let claims: Vec<Claim> = self.claims.values().map(|held| held.claim.clone()).collect();
        for claim in claims {
            self.release(claim, ctx);
        }
    }
}
