//! A stream whose node drains: the publisher goes to another node, and then the viewers.
//!
//! Encoders that are asked to reconnect are shown again from their next keyframe on. So each is let go at the moment from
//! which it is back just before one, by its own rhythm. The room is reserved for it before: an encoder may try to publish
//! elsewhere within milliseconds, one refusal can cost it five seconds, and no one else may come first.

use std::time::Duration;

use actix::{ActorFutureExt, Context, Handler, ResponseActFuture, WrapFuture, fut};
use log::{info, warn};
use synctv_media::cluster::standing::NodeUrl;
use tokio::time::{Instant, sleep};

use super::StreamActor;
use crate::{
    clock::whole_ms,
    cluster::store::StoreError,
    events::{Evicted, PublisherEvent, PublisherId, Relocation, StreamEvent},
    metrics::{MoveHow, MoveOutcome},
    stream::{
        ingest::Ingest,
        messages::{MovePublisher, MoveViewers},
    },
};

/// A wait that is shorter is over: timers have milliseconds.
const MOVE_WAIT_MIN: Duration = Duration::from_millis(2);

/// Interval of the check whether a publisher has left that was asked to.
const LEFT_CHECK_INTERVAL: Duration = Duration::from_millis(50);

type Moved = ResponseActFuture<StreamActor, ()>;

impl StreamActor {
    /// Notes a keyframe of the publisher.
    pub(super) fn note_keyframe(&mut self) {
        if let Some(time_ms) = self.batcher.last_keyframe_ms().filter(|time_ms| self.rhythm.is_new(*time_ms))
        {
            self.rhythm.note(time_ms, self.now_ms());
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms().cast_signed()
    }

    /// Returns the time to keep a publisher so that it is back just before one of its keyframes; zero if that is
    /// unknown, or too long. A publisher that is asked to leave may stay until the deadline.
    fn wait_for_moment(&self, relocation: Relocation, deadline: Instant) -> Duration {
        let lead_ms = |lead| whole_ms(lead).cast_signed();
        let (rhythm, now_ms) = (&self.rhythm, self.now_ms());
        let wait_ms = match relocation {
            Relocation::OnRequest => return deadline.saturating_duration_since(Instant::now()),
            Relocation::AfterClose(returns_after) => rhythm.wait_ms(lead_ms(returns_after), now_ms),
            Relocation::AtLook { looks_each, lead } => {
                rhythm.wait_for_look_ms(looks_each, lead_ms(lead), now_ms)
            }
        };
        let wait = Duration::from_millis(wait_ms.unwrap_or(0).max(0).cast_unsigned());
        if wait < MOVE_WAIT_MIN || Instant::now() + wait > deadline { Duration::ZERO } else { wait }
    }

    /// Reserves the room for its publisher. The answer is nothing if there is none to reserve it for.
    fn reserve(
        &self,
        hold: Duration,
    ) -> impl Future<Output = Option<Result<bool, StoreError>>> + 'static + use<> {
        let offer = match &self.ingest {
            Ingest::Published { claim, profile, .. } => profile
                .who
                .as_ref()
                .map(|who| (claim.clone(), self.settings.pull.nodes.publisher_proof(&self.room, who))),
            Ingest::Vacant { .. } | Ingest::Pulled(_) => None,
        };
        let registry = self.registry.clone();
        async move {
            let (claim, proof) = offer?;
            Some(registry.offer(claim, proof, hold).await)
        }
    }

    /// Asks a publisher to publish elsewhere that takes such requests.
    fn ask_to_move(&mut self, publisher: PublisherId, to: Option<NodeUrl>) {
        if let Ingest::Published { publisher: current, profile, events, is_asked_to_move, .. } =
            &mut self.ingest
            && *current == publisher
            && profile.relocation == Relocation::OnRequest
        {
            *is_asked_to_move = true;
            events.do_send(PublisherEvent::Reconnect { to });
        }
    }

    /// Lets the publisher go when the moment has come. Its rhythm may change meanwhile, and is looked at again.
    fn let_go_in_time(
        &mut self,
        publisher: PublisherId,
        deadline: Instant,
        ctx: &mut Context<Self>,
    ) -> Moved {
        let Ingest::Published { publisher: current, profile, events, .. } = &self.ingest else {
            return Box::pin(fut::ready(()));
        };
        if *current != publisher {
            return Box::pin(fut::ready(()));
        }
        let wait = self.wait_for_moment(profile.relocation, deadline);
        if wait.is_zero() {
            events.do_send(PublisherEvent::Evicted(Evicted::Draining));
            match profile.relocation {
                Relocation::OnRequest => {
                    self.meters.node().moves.get((MoveHow::Request, MoveOutcome::Expired)).inc();
                }
                Relocation::AfterClose(_) | Relocation::AtLook { .. } => {
                    self.absence.announce_move(MoveHow::Close)
                }
            }
            self.become_vacant(ctx);
            return Box::pin(fut::ready(()));
        }
        let wait = match profile.relocation {
            Relocation::OnRequest => wait.min(LEFT_CHECK_INTERVAL),
            Relocation::AfterClose(_) | Relocation::AtLook { .. } => wait,
        };
        let waited = sleep(wait).into_actor(self);
        Box::pin(waited.then(move |(), stream, ctx| stream.let_go_in_time(publisher, deadline, ctx)))
    }
}

impl Handler<MovePublisher> for StreamActor {
    type Result = Moved;

    fn handle(
        &mut self,
        MovePublisher { handover, wait_max, next_node }: MovePublisher,
        ctx: &mut Self::Context,
    ) -> Moved {
        let Ingest::Published { publisher, profile, .. } = &self.ingest else {
            return Box::pin(fut::ready(()));
        };
        let (publisher, now) = (*publisher, Instant::now());
        if handover.is_zero() {
            return self.let_go_in_time(publisher, now, ctx);
        }
        let deadline = now + wait_max;
        let wait = self.wait_for_moment(profile.relocation, deadline);
        let reserved = self.reserve(wait + handover).into_actor(self);
        Box::pin(reserved.then(move |reserved, stream, ctx| {
            match reserved {
                Some(Ok(true)) => info!(room = stream.room.as_str(), wait_ms = wait.as_millis() as u64;
                    "publisher is moved"),
                Some(Ok(false)) | None => {}
                Some(Err(error)) => warn!(room = stream.room.as_str(), reason:% = error;
                    "the room is not reserved for its publisher"),
            }
            stream.ask_to_move(publisher, next_node);
            stream.let_go_in_time(publisher, deadline, ctx)
        }))
    }
}

impl Handler<MoveViewers> for StreamActor {
    type Result = ();

    fn handle(&mut self, MoveViewers(window): MoveViewers, _: &mut Self::Context) {
        self.subscribers.announce(&StreamEvent::LeaveWithin(window));
    }
}

#[cfg(test)]
mod tests;
