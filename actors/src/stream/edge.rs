//! A stream whose room another node publishes.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message};
use tokio::time::Instant;

use super::{
    StreamActor,
    feed::{Feed, Source, Stage},
};
use crate::{
    delivery::Delivery,
    puller::{Dismissed, FromOrigin, Pull, PullerHandle, Update},
    registry::origin::Origin,
};

/// How long a stream that was started for a pull waits for the origin's first answer.
pub(super) const ORIGIN_WAIT: Duration = Duration::from_secs(5);

/// Another node publishes the room. A stream that is fed already goes on as it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Follow(pub Origin);

impl StreamActor {
    /// While the stream waits, looks for a node that publishes the room if someone would watch it.
    pub(super) fn seek_if_watched(&mut self, ctx: &mut Context<Self>) {
        let puller = match (&self.feed, self.subscribers.are_watching()) {
            _ if self.stage() != Stage::Waiting => return,
            (Feed::Vacant { seeker: None, .. }, true) => Some(PullerHandle::start(self.pull(ctx), None)),
            (Feed::Vacant { seeker: Some(_), .. }, false) => None,
            _ => return,
        };
        if puller.is_none() {
            // Whoever looks again does not know how far the last one was.
            self.end_publication();
        }
        if let Feed::Vacant { seeker, .. } = &mut self.feed {
            *seeker = puller;
        }
    }

    /// Whether anyone watches may have changed.
    pub(super) fn audience_changed(&mut self, ctx: &mut Context<Self>) {
        let is_watched = self.subscribers.are_watching();
        if is_watched != self.unwatched_since.is_none() {
            self.unwatched_since = (!is_watched).then(Instant::now);
            self.tell_publisher_of_audience();
            self.end_when_due(ctx);
        }
        self.seek_if_watched(ctx);
    }

    fn pull(&self, ctx: &mut Context<Self>) -> Pull {
        let stream = ctx.address().recipient();
        Pull::new(self.room.clone(), self.settings.clone(), self.registry.clone(), stream)
    }

    fn connected(&mut self, node: String, ctx: &mut Context<Self>) {
        let vacant = std::mem::replace(&mut self.feed, Feed::vacant(self.settings.pull.grace));
        self.feed = match vacant {
            Feed::Vacant { seeker: Some(puller), .. } => Feed::Pulled(puller),
            other => other,
        };
        self.stats.publisher_came(Some(node));
        self.set_stage(Stage::Live(Source::Remote));
        self.subscribers.tell(&Delivery::PublisherCame(Source::Remote));
        self.unwatched_since = (!self.subscribers.are_watching()).then(Instant::now);
        self.end_when_due(ctx);
    }

    fn broken(&mut self, ctx: &mut Context<Self>) {
        let patience = self.settings.pull.grace;
        self.feed = match std::mem::replace(&mut self.feed, Feed::vacant(patience)) {
            Feed::Pulled(puller) => Feed::seeking(patience, puller),
            other => other,
        };
        self.set_stage(Stage::Waiting);
        self.seek_if_watched(ctx);
        self.end_when_due(ctx);
    }

    fn over(&mut self, ctx: &mut Context<Self>) {
        self.end_publication();
        if self.stage() == Stage::Starting {
            self.feed = Feed::vacant(Duration::ZERO);
            self.end_when_due(ctx);
        }
    }
}

impl Handler<Follow> for StreamActor {
    type Result = ();

    fn handle(&mut self, Follow(origin): Follow, ctx: &mut Self::Context) {
        let pull = self.pull(ctx);
        let is_starting = self.stage() == Stage::Starting;
        if let Feed::Vacant { since, patience, seeker: seeker @ None } = &mut self.feed {
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
        if !self.feed.is_puller(puller) {
            return Err(Dismissed);
        }
        match update {
            Update::Connected { node } => self.connected(node, ctx),
            Update::Media { frames, after_hole } => {
                if after_hole {
                    self.end_publication();
                }
                self.take(frames, ctx);
                self.audience_changed(ctx);
            }
            Update::Broken => self.broken(ctx),
            Update::Over => self.over(ctx),
        }
        Ok(())
    }
}
