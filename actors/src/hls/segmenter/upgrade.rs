//! A segmenter over an upgrade in place: the stream's next frame is the next one here.

use std::sync::Arc;

use actix::{ActorContext, Context, Handler, MessageResult, Recipient};

use super::{SegmenterActor, SegmenterPhase};
use crate::{
    cluster::registry::numbers::NumberReserve,
    events::{StreamEvent, SubscriberRole},
    hls::{
        parked_segmenter::{Cutting, FormContainer, ParkSegmenter, ParkedSegmenter, SegmenterNotes},
        session::HlsSession,
        session_store::SessionStore,
    },
    stream::StreamHandle,
    subscription::Subscription,
};

impl ParkedSegmenter {
    /// Goes on with the stream, which is the same one and may not have its publisher yet.
    pub fn resume(self, store: &SessionStore, stream: &StreamHandle) -> Recipient<StreamEvent> {
        let Self { form, session, cutting, notes, .. } = self;
        let subscription = Subscription::new(stream.clone(), SubscriberRole::Segmenter);
        match cutting {
            Cutting::Ts(segmenter) => {
                let segmenter = SegmenterActor::new(store.clone(), form, subscription, segmenter);
                segmenter.resume(session, notes)
            }
            Cutting::Fmp4(segmenter) => {
                let segmenter = SegmenterActor::new(store.clone(), form, subscription, segmenter);
                segmenter.resume(session, notes)
            }
        }
    }
}

impl<C: FormContainer> SegmenterActor<C> {
    /// Stops where it is. A session whose time is measured by this actor is removed by its own, and one that waits for another
    /// node's window begins without it.
    fn park(&mut self) -> Option<ParkedSegmenter> {
        self.settle_numbers(None);
        self.past.clear();
        let (session, is_refusing) = match std::mem::replace(&mut self.phase, SegmenterPhase::Idle) {
            SegmenterPhase::Idle => (None, false),
            SegmenterPhase::Cutting(session) => (Some(session), false),
            SegmenterPhase::Refusing(session) => (Some(session), true),
            SegmenterPhase::Ended(_) => return None,
        };
        let segmenter = std::mem::replace(&mut self.segmenter, self.store.segmenter(C::default()));
        let notes = SegmenterNotes {
            is_refusing,
            announced: self.announced,
            wall_clock: self.wall_clock.clone(),
            unreadable_frames: self.unreadable_frames,
            warned_of_cut: self.warned_of_cut,
            warned_of_skew: self.warned_of_skew,
        };
        let (room, form) = (self.stream.room().clone(), self.form);
        Some(ParkedSegmenter { room, form, session, cutting: C::cutting(segmenter), notes })
    }

    /// Starts where another one stopped.
    fn resume(mut self, session: Option<Arc<HlsSession>>, notes: SegmenterNotes) -> Recipient<StreamEvent> {
        self.phase = match session {
            None => SegmenterPhase::Idle,
            Some(session) if notes.is_refusing => SegmenterPhase::Refusing(session),
            Some(session) => SegmenterPhase::Cutting(session),
        };
        self.awaits_its_publisher = true;
        self.announced = notes.announced;
        self.wall_clock = notes.wall_clock;
        self.unreadable_frames = notes.unreadable_frames;
        self.warned_of_cut = notes.warned_of_cut;
        self.warned_of_skew = notes.warned_of_skew;
        self.start_on_stream(Self::rejoin)
    }

    /// Returns whether a publisher is the one of before an upgrade, whose media goes on where it was.
    pub(super) fn goes_on_with(&mut self, reserve: &NumberReserve) -> bool {
        let is_awaited = std::mem::take(&mut self.awaits_its_publisher);
        match &self.phase {
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) if is_awaited => {
                session.go_on(reserve)
            }
            _ => false,
        }
    }
}

impl<C: FormContainer> Handler<ParkSegmenter> for SegmenterActor<C> {
    type Result = MessageResult<ParkSegmenter>;

    fn handle(&mut self, _: ParkSegmenter, ctx: &mut Context<Self>) -> Self::Result {
        let parked = self.park();
        self.subscription = None;
        ctx.stop();
        MessageResult(parked)
    }
}
