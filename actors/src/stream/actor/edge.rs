//! A stream whose room another node publishes.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use tokio::time::Instant;

use super::StreamActor;
use crate::{
    cluster::puller::{Pull, PullerHandle},
    events::{Arrival, Dismissed, FromOrigin, Source, StreamEvent, StreamState, Update},
    stream::{
        ingest::{Ingest, ORIGIN_WAIT},
        messages::Follow,
    },
};

impl StreamActor {
    /// While the stream waits, looks for a node that publishes the room if someone would watch it.
    pub(super) fn seek_if_watched(&mut self, ctx: &mut Context<Self>) {
        let puller = match (&self.ingest, self.subscribers.are_watching()) {
            _ if self.state() != StreamState::Waiting || self.resumable_pull.is_some() => return,
            (Ingest::Vacant { seeker: None, .. }, true) => Some(PullerHandle::start(self.pull(ctx), None)),
            (Ingest::Vacant { seeker: Some(_), .. }, false) => None,
            _ => return,
        };
        if puller.is_none() {
            // The next puller does not know how far the last one was.
            self.end_publication(ctx);
        }
        if let Ingest::Vacant { seeker, .. } = &mut self.ingest {
            *seeker = puller;
        }
    }

    /// Updates the pull after a change of subscribers.
    pub(super) fn viewers_changed(&mut self, ctx: &mut Context<Self>) {
        if self.is_parked {
            return;
        }
        let is_watched = self.subscribers.are_watching();
        if is_watched != self.unwatched_since.is_none() {
            self.unwatched_since = (!is_watched).then(Instant::now);
            self.notify_publisher();
            self.end_when_due(ctx);
        }
        self.seek_if_watched(ctx);
    }

    pub(super) fn pull(&self, ctx: &mut Context<Self>) -> Pull {
        let stream = ctx.address().recipient();
        let (settings, registry) = (self.settings.clone(), self.registry.clone());
        Pull::new(self.room.clone(), settings, registry, stream, self.meters.clone())
    }

    fn connected(&mut self, node: String, ctx: &mut Context<Self>) {
        self.batcher.join_origin();
        self.stats.publisher_came(Some(node));
        self.go_live_from_origin(ctx);
    }

    /// Takes the media of a pull that has its connection.
    fn go_live_from_origin(&mut self, ctx: &mut Context<Self>) {
        let vacant = std::mem::replace(&mut self.ingest, Ingest::vacant(self.settings.pull.grace));
        self.ingest = match vacant {
            Ingest::Vacant { seeker: Some(puller), .. } => Ingest::Pulled(puller),
            other => other,
        };
        self.set_state(StreamState::Live(Source::Remote));
        self.subscribers.announce(&StreamEvent::PublisherCame(Arrival::Remote));
        self.unwatched_since = (!self.subscribers.are_watching()).then(Instant::now);
        self.end_when_due(ctx);
    }

    fn broken(&mut self, ctx: &mut Context<Self>) {
        let patience = self.settings.pull.grace;
        self.ingest = match std::mem::replace(&mut self.ingest, Ingest::vacant(patience)) {
            Ingest::Pulled(puller) => Ingest::seeking(patience, puller),
            other => other,
        };
        self.set_state(StreamState::Waiting);
        self.seek_if_watched(ctx);
        self.end_when_due(ctx);
    }

    fn over(&mut self, ctx: &mut Context<Self>) {
        self.end_publication(ctx);
        if self.state() == StreamState::Starting {
            self.ingest = Ingest::vacant(Duration::ZERO);
            self.end_when_due(ctx);
        }
    }
}

impl Handler<Follow> for StreamActor {
    type Result = ();

    fn handle(&mut self, Follow(origin): Follow, ctx: &mut Self::Context) {
        let pull = self.pull(ctx);
        let is_starting = self.state() == StreamState::Starting;
        if let Ingest::Vacant { since, patience, seeker: seeker @ None } = &mut self.ingest {
            if is_starting {
                (*since, *patience) = (Instant::now(), ORIGIN_WAIT);
            }
            *seeker = Some(PullerHandle::start(pull, Some(origin)));
            self.end_when_due(ctx);
        }
    }
}

impl Handler<FromOrigin> for StreamActor {
    type Result = Result<(), Dismissed>;

    fn handle(&mut self, FromOrigin { puller, update }: FromOrigin, ctx: &mut Self::Context) -> Self::Result {
        if !self.ingest.is_puller(puller) {
            return Err(Dismissed);
        }
        let Some(update) = self.take_from_predecessor(update, ctx) else { return Ok(()) };
        match update {
            Update::Connected { node } => self.connected(node, ctx),
            Update::Resumed => self.go_live_from_origin(ctx),
            Update::Media { frames, after_hole } => {
                if after_hole {
                    self.end_publication(ctx);
                }
                self.take(frames, Instant::now(), ctx);
                self.viewers_changed(ctx);
            }
            Update::Broken => self.broken(ctx),
            Update::Over => self.over(ctx),
        }
        Ok(())
    }
}
