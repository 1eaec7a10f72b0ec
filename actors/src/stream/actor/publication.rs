//! The stream's own publisher: its claim, its media and its end.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseActFuture, WrapFuture, fut};
use synctv_media::stream::keyframe_rhythm::KeyframeRhythm;
use tokio::time::Instant;

use super::StreamActor;
use crate::{
    cluster::registry::{ClaimLost, Claimed, numbers::NumberReserve},
    events::{
        Arrival, Evicted, PublisherEvent, PublisherId, PublisherProfile, Source, StreamEvent, StreamState,
    },
    metrics::MoveHow,
    stream::{
        ingest::{Admission, Ingest},
        messages::{Attach, Detach, Media, Publication, PublishError},
        succession::Succession,
    },
};

type AttachFuture = ResponseActFuture<StreamActor, Result<Publication, PublishError>>;

impl StreamActor {
    fn claim(&mut self, Attach { profile, events }: Attach, ctx: &mut Context<Self>) -> AttachFuture {
        self.admission = Admission::Asked { lost_epoch: None };
        let registry = self.registry.clone();
        let (room, owner) = (self.room.clone(), ctx.address().recipient());
        let who = profile.who.as_ref();
        let proof = who.map(|who| self.settings.pull.nodes.publisher_proof(&self.room, who));
        let claimed = async move { registry.claim(room, proof, owner).await };
        Box::pin(claimed.into_actor(self).map(move |claimed, stream, ctx| {
            let admission = std::mem::replace(&mut stream.admission, Admission::Idle);
            match claimed {
                Ok(claimed) if admission.has_lost(&claimed.claim) => {
                    stream.claim_refused(ctx);
                    Err(PublishError::Busy)
                }
                Ok(claimed) => Ok(stream.go_live(claimed, profile, events, ctx)),
                Err(error) => {
                    stream.claim_refused(ctx);
                    Err(error.into())
                }
            }
        }))
    }

    /// The registry refused: the stream is what it was before, and over if there is nothing to wait for.
    fn claim_refused(&mut self, ctx: &mut Context<Self>) {
        if let (StreamState::Starting, Ingest::Vacant { patience, seeker: None, .. }) =
            (self.state(), &mut self.ingest)
        {
            *patience = Duration::ZERO;
        }
        self.end_when_due(ctx);
    }

    /// The claim is this stream's: the publisher may begin.
    fn go_live(
        &mut self,
        Claimed { claim, numbers }: Claimed,
        profile: PublisherProfile,
        events: Recipient<PublisherEvent>,
        ctx: &mut Context<Self>,
    ) -> Publication {
        self.last_publisher += 1;
        let publisher = PublisherId(self.last_publisher);
        let vacant = Ingest::vacant(Duration::ZERO);
        let succession = match std::mem::replace(&mut self.ingest, vacant) {
            // Its media goes on until that of the publisher begins.
            Ingest::Pulled(puller) => Some(Box::new(Succession::of(puller))),
            _ => None,
        };
        if succession.is_none() {
            self.end_publication(ctx);
        }
        let is_first = succession.is_none();
        self.ingest = Ingest::Published {
            publisher,
            claim,
            numbers: numbers.clone(),
            profile,
            events,
            is_asked_to_move: false,
            succession,
        };
        self.unwatched_since = (!self.subscribers.are_watching()).then(Instant::now);
        self.notify_publisher();
        if is_first {
            self.announce_publisher(numbers);
        }
        Publication::new(ctx.address().recipient(), ctx.address().recipient(), publisher)
    }

    /// Marks the media from here on as the publisher's.
    pub(super) fn announce_publisher(&mut self, numbers: NumberReserve) {
        self.stats.publisher_came(None);
        self.set_state(StreamState::Live(Source::Local));
        self.subscribers.announce(&StreamEvent::PublisherCame(Arrival::Local(numbers)));
    }

    pub(super) fn notify_publisher(&self) {
        if let Ingest::Published { events, .. } = &self.ingest {
            let is_watched = self.subscribers.are_watching();
            events.do_send(if is_watched {
                PublisherEvent::ViewersCame
            } else {
                PublisherEvent::ViewersLeft
            });
        }
    }

    /// Lets the publisher go. Its room can be claimed by anyone from here on.
    pub(super) fn become_vacant(&mut self, ctx: &mut Context<Self>) {
        self.end_publication(ctx);
        // No viewer has seen anything that could go on.
        let is_blank = self.batcher.newest_ms().is_none();
        let last_frame = (!is_blank && self.subscribers.are_watching()).then_some(self.received);
        self.absence.begin(last_frame, self.meters.node());
        let vacant = Ingest::vacant(if is_blank { Duration::ZERO } else { self.settings.grace });
        if let Ingest::Published { claim, .. } = std::mem::replace(&mut self.ingest, vacant) {
            self.registry.release(claim);
        }
        self.set_state(StreamState::Waiting);
        self.subscribers.announce(&StreamEvent::PublisherLeft);
        self.seek_if_watched(ctx);
        self.end_when_due(ctx);
    }

    /// The next publication has a clock and headers of its own.
    pub(super) fn end_publication(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.opening_timer.take() {
            ctx.cancel_future(timer);
        }
        self.batcher.open();
        self.flush();
        self.log_notes();
        self.batcher.end_publisher();
        self.rhythm = KeyframeRhythm::default();
        self.gops.clear();
        self.oversized_gops = 0;
    }
}

impl Handler<Attach> for StreamActor {
    type Result = AttachFuture;

    fn handle(&mut self, attach: Attach, ctx: &mut Self::Context) -> Self::Result {
        match (&self.ingest, self.admission) {
            _ if self.is_parked => Box::pin(fut::ready(Err(PublishError::Ended))),
            (_, Admission::Asked { .. }) | (Ingest::Published { .. }, _) => {
                Box::pin(fut::ready(Err(PublishError::Busy)))
            }
            (Ingest::Vacant { .. } | Ingest::Pulled(_), _) => self.claim(attach, ctx),
        }
    }
}

impl Handler<Media> for StreamActor {
    type Result = Result<(), Evicted>;

    fn handle(
        &mut self,
        Media { publisher, frames, received }: Media,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        if !self.ingest.is_publisher(publisher) {
            return Err(Evicted::TakenOver);
        }
        self.take_published(frames, received, ctx);
        Ok(())
    }
}

impl Handler<Detach> for StreamActor {
    type Result = ();

    fn handle(&mut self, Detach(publisher): Detach, ctx: &mut Self::Context) {
        if self.ingest.is_publisher(publisher) {
            if self.ingest.is_asked_to_move() {
                self.absence.announce_move(MoveHow::Request);
            }
            self.become_vacant(ctx);
        }
    }
}

impl Handler<ClaimLost> for StreamActor {
    type Result = ();

    fn handle(&mut self, lost: ClaimLost, ctx: &mut Self::Context) {
        match (&self.ingest, &mut self.admission) {
            (Ingest::Published { claim, is_asked_to_move: true, .. }, _) if claim.epoch == lost.epoch => {}
            (Ingest::Published { claim, events, .. }, _) if claim.epoch == lost.epoch => {
                events.do_send(PublisherEvent::Evicted(Evicted::TakenOver));
                self.become_vacant(ctx);
            }
            (_, Admission::Asked { lost_epoch }) => *lost_epoch = Some(lost.epoch),
            _ => {}
        }
    }
}
