//! The audit: the store has the claims that this node believes it has, and no others.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::{debug, info, warn};

use super::RegistryActor;
use crate::cluster::store::{Audit, Claim};

impl RegistryActor {
    /// Compares the store with the claims. A store that was restored has claims that were given back since; one that evicts
    /// keys lacks some that are live.
    pub(super) fn audit(&mut self, ctx: &mut Context<Self>) {
        let claims = self.claims.values().map(|held| held.claim.clone()).collect();
        let audited = self.store.audit(claims).into_actor(self);
        ctx.spawn(audited.map(|audit, registry, ctx| match audit {
            Ok(audit) => registry.audited(audit, ctx),
            Err(error) => debug!(reason:% = error; "the store's claims could not be compared"),
        }));
    }

    fn audited(&mut self, Audit { claims, is_incomplete }: Audit, ctx: &mut Context<Self>) {
        let unknown: Vec<Claim> = claims.into_iter().filter(|claim| !self.may_be_held(claim)).collect();
        for claim in unknown {
            warn!(room = claim.room.as_str(), epoch = claim.epoch;
                "the store has a claim that this node does not know: it is released");
            self.give_back(claim, ctx);
        }
        if is_incomplete {
            info!(claims = self.claims.len(); "the store lacks claims of this node: they are written again");
            self.renew_claims(ctx);
        }
    }

    /// Returns whether it is a claim of this node, or may become one.
    fn may_be_held(&self, claim: &Claim) -> bool {
        let is_held = self.claims.get(&claim.room).is_some_and(|held| held.claim == *claim);
        is_held || self.busy.contains_key(&claim.room)
    }

    /// Reports the numbers that ended claims have used to a store that may have lost them.
    pub(super) fn reserve_again(&mut self, ctx: &mut Context<Self>) {
        let (store, used) = (self.store.clone(), self.numbers.used_before());
        let reserved = async move {
            for used in used {
                // Not retried: the next audit reports them again.
                let _ = store.reserve(used).await;
            }
        };
        ctx.spawn(reserved.into_actor(self));
    }
}
