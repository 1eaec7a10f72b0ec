//! The renewal of this node's claims, with each heartbeat and after a return of the store.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::warn;
use tokio::time::Instant;

use super::{Held, RegistryActor, Renewal, gate};
use crate::cluster::store::{Claim, StoreError, UsedClaim};

impl RegistryActor {
    /// Renews all claims; once more afterwards, if a renewal is under way.
    pub(super) fn renew_claims(&mut self, ctx: &mut Context<Self>) {
        if let Renewal::UnderWay { again, .. } = &mut self.renewal {
            *again = true;
            return;
        }
        self.release_orphans(ctx);
        self.numbers.sweep(Instant::now());
        let used =
            |held: &Held| UsedClaim { claim: held.claim.clone(), used: self.numbers.use_of(&held.claim) };
        let claims: Vec<UsedClaim> = self.claims.values().map(used).collect();
        if claims.is_empty() {
            self.renewal = Renewal::Idle;
            return;
        }
        let (opener, ended) = gate();
        self.renewal = Renewal::UnderWay { ended, again: false };
        let renewed = self.store.renew(claims).into_actor(self).map(|lost, registry, ctx| {
            registry.claims_renewed(lost, ctx);
            drop(opener);
        });
        ctx.spawn(renewed);
    }

    fn claims_renewed(&mut self, lost: Result<Vec<Claim>, StoreError>, ctx: &mut Context<Self>) {
        let renewal = std::mem::replace(&mut self.renewal, Renewal::Idle);
        match lost {
            Ok(lost) => lost.iter().for_each(|claim| self.lose(claim)),
            Err(error) => {
                warn!(claims = self.claims.len(), reason:% = error; "claims could not be renewed");
                self.renewal = Renewal::Due;
            }
        }
        if let Renewal::UnderWay { again: true, .. } = renewal {
            self.renew_claims(ctx);
        }
    }

    /// Waits until the renewal that is under way, if there is one, has ended.
    pub(super) fn renewal_ended(&self) -> impl Future<Output = ()> + use<> {
        let ended = match &self.renewal {
            Renewal::UnderWay { ended, .. } => Some(ended.clone()),
            Renewal::Idle | Renewal::Due => None,
        };
        async move {
            if let Some(ended) = ended {
                // The other half is dropped, not used.
                let _ = ended.await;
            }
        }
    }
}
