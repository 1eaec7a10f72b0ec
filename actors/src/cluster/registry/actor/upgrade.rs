//! Claims over an upgrade in place: they stay with the process, and only the streams that hold them are others.

use actix::{AsyncContext, Context, Handler, MessageResult};
use log::warn;
use tokio::time::Instant;

use super::{Held, Owner, RegistryActor};
use crate::{
    cluster::{
        registry::{
            messages::{AdoptRoom, Claimed, ParkClaims, ReleaseParked},
            numbers::NumberReserve,
        },
        store::Claim,
    },
    upgrade::states::ClaimsState,
};

impl RegistryActor {
    /// Takes over the claims of the program that ran in this process before, whose lease this one has. To be called before
    /// the store is asked for anything: what it has and this node does not know is given back.
    pub fn take_over(&mut self, parked: ClaimsState) {
        for state in &parked.released {
            self.numbers.resume_released(state, Instant::now());
        }
        for state in parked.held {
            let claim = Claim { room: state.room.clone(), epoch: state.epoch };
            self.numbers.resume(&state);
            self.claims.insert(state.room, Held { claim, owner: Owner::Parked });
        }
        self.note_claims();
    }
}

impl Handler<ParkClaims> for RegistryActor {
    type Result = MessageResult<ParkClaims>;

    fn handle(&mut self, _: ParkClaims, _: &mut Context<Self>) -> Self::Result {
        for held in self.claims.values_mut() {
            held.owner = Owner::Parked;
        }
        let held = self.claims.values().map(|held| self.numbers.parked(&held.claim)).collect();
        MessageResult(ClaimsState { held, released: self.numbers.parked_released(Instant::now()) })
    }
}

impl Handler<AdoptRoom> for RegistryActor {
    type Result = Option<Claimed>;

    fn handle(&mut self, AdoptRoom { claim, owner }: AdoptRoom, ctx: &mut Context<Self>) -> Self::Result {
        let held = self.claims.get_mut(&claim.room).filter(|held| held.claim == claim)?;
        held.owner = Owner::Stream(owner);
        let (shared, continues) = self.numbers.shared(&claim)?;
        let numbers = NumberReserve::of_shared(claim.clone(), continues, shared, ctx.address().recipient());
        Some(Claimed { claim, numbers })
    }
}

impl Handler<ReleaseParked> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: ReleaseParked, ctx: &mut Context<Self>) {
        let is_parked = |held: &&Held| matches!(held.owner, Owner::Parked);
        let parked: Vec<Claim> =
            self.claims.values().filter(is_parked).map(|held| held.claim.clone()).collect();
        for claim in parked {
            warn!(room = claim.room.as_str(), epoch = claim.epoch; "a room was lost in the upgrade: it is given back");
            self.release(claim, ctx);
        }
        self.numbers.sweep(Instant::now());
    }
}
