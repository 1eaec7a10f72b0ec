//! A playlist that goes on from the window of the node that had the room before.
//!
//! Nothing is listed until that node has answered, or for [`WINDOW_TIMEOUT`](crate::hls::window::WINDOW_TIMEOUT): numbers that
//! were listed are not taken back. Usually the answer is there before the first part is finished.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::info;

use super::{
    SegmenterActor, SegmenterPhase,
    held_outputs::{DatedOutput, HeldOutputs},
};
use crate::{
    cluster::registry::numbers::NumberReserve,
    hls::{
        parked_segmenter::FormContainer,
        window::{FoundWindow, SessionWindow},
    },
};

impl<C: FormContainer> SegmenterActor<C> {
    /// Begins the playlist of a publisher who came with these numbers, once it is known where.
    pub(super) fn begin_numbers(&mut self, reserve: NumberReserve, ctx: &mut Context<Self>) {
        let epoch = reserve.epoch();
        let windows = self.store.windows().filter(|_| !reserve.continues());
        self.held = Some(HeldOutputs::new(reserve));
        let Some(windows) = windows else {
            self.settle_numbers(None);
            return;
        };
        let found = windows.fetch(self.stream.room().clone(), self.form, epoch).into_actor(self);
        ctx.spawn(found.map(move |found, segmenter, ctx| segmenter.window_came(epoch, found, ctx)));
    }

    fn window_came(&mut self, epoch: u64, found: Option<FoundWindow>, ctx: &mut Context<Self>) {
        if self.held.as_ref().is_none_or(|held| held.reserve.epoch() != epoch) {
            return;
        }
        let Some(FoundWindow { window, address }) = found else {
            self.settle_numbers(None);
            return;
        };
        let names = window.names(self.form);
        if self.settle_numbers(Some(window))
            && let (Some(windows), SegmenterPhase::Cutting(session)) = (self.store.windows(), &self.phase)
        {
            let (room, session) = (self.stream.room().clone(), session.clone());
            info!(room = room.as_str(), from = address.as_str(); "HLS goes on from another node");
            let pieces = windows.fetch_pieces(room, address, names).into_actor(self);
            ctx.spawn(pieces.map(move |pieces, segmenter, _| segmenter.store.adopt(&session, pieces)));
        }
    }

    /// Begins the playlist, behind a window if there is one, and lists what has waited for that. Returns whether it goes on from
    /// the window.
    pub(super) fn settle_numbers(&mut self, window: Option<SessionWindow>) -> bool {
        let Some(HeldOutputs { reserve, outputs }) = self.held.take() else { return false };
        let (SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)) = &self.phase else {
            return false;
        };
        let goes_on = session.begin(reserve, window);
        outputs.into_iter().for_each(|output| self.list(output));
        goes_on
    }

    /// Lists an output, or keeps it until the playlist has begun.
    pub(super) fn list_in_turn(&mut self, output: DatedOutput) {
        let Some(held) = &mut self.held else {
            return self.list(output);
        };
        held.outputs.push(output);
        if held.is_full() {
            self.settle_numbers(None);
        }
    }
}
