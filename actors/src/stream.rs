//! A live stream: its headers, its cached GOPs, its timeline, and who is subscribed to it.

mod handle;
mod subscribers;

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient,
    ResponseActFuture, WrapFuture, fut,
};
use log::{debug, info, warn};
use synctv_media::{
    batch::Batch,
    batcher::Batcher,
    frame::Frame,
    gop::{GopCache, GopLimits, Kept},
    room::RoomName,
};
use thiserror::Error;
use tokio::time::Instant;

pub use self::handle::{Publication, StreamHandle, StreamId};
use self::subscribers::Subscribers;
use crate::{
    delivery::{Delivery, EndReason, SubscriberId, ViewerId},
    registry::{ClaimError, ClaimLost, RegistryHandle, store::Claim},
    router::{News, StreamNews},
};

/// How long sound waits for a picture to ride along with, when media is flushed with every picture.
const AUDIO_WAIT: Duration = Duration::from_millis(100);

/// How long a new stream waits for the publisher that it was started for.
const FIRST_PUBLISHER_WAIT: Duration = Duration::from_secs(10);

/// When a stream's media goes to its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// As it arrives: the lowest delay, the most writes.
    EveryTag,
    /// With every picture; sound rides along.
    EveryPicture,
    /// At this interval: the fewest writes.
    Every(Duration),
}

/// What all streams have in common.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// What is cached for viewers who join.
    pub gop: GopLimits,
    /// How far back a viewer may start, in milliseconds, if that gives it more than the newest GOP.
    pub join_window_ms: i64,
    /// When media goes out.
    pub flush: Flush,
    /// How long viewers are kept when the publisher is gone.
    pub grace: Duration,
}

/// Why a publisher was not attached to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublishError {
    /// Someone publishes this room, here or on another node.
    #[error("someone publishes this room")]
    Busy,
    /// The registry did not say yes.
    #[error(transparent)]
    Registry(ClaimError),
    /// The node has as many rooms as it may.
    #[error("this node has its limit of {max} rooms")]
    RoomLimit {
        /// The limit.
        max: usize,
    },
    /// The stream ended while the publisher came.
    #[error("the stream just ended")]
    Ended,
}

/// Told to a publisher that it no longer has its room.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Evicted;

/// Counts a stream's publishers, so that a late message of an earlier one is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PublisherId(u64);

/// The actor. It outlives its publisher by the grace.
pub struct StreamActor {
    id: StreamId,
    room: RoomName,
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    /// Told when the stream goes live and when it is over.
    router: Recipient<StreamNews>,
    feed: Feed,
    last_publisher: u64,
    batcher: Batcher,
    gops: GopCache,
    subscribers: Subscribers,
    flush_timer: FlushTimer,
    unreadable_frames: u64,
    oversized_gops: u64,
}

/// Who feeds the stream.
enum Feed {
    /// Nobody, since then.
    Vacant { since: Instant },
    /// Someone will, if the registry agrees.
    Claiming {
        /// The registry took back the claim of this epoch. That may be heard before the claim's own answer.
        lost_epoch: Option<u64>,
    },
    /// Someone does.
    Live { publisher: PublisherId, claim: Claim, evict: Recipient<Evicted> },
}

/// Whether a flush is due.
#[derive(Debug, Clone, Copy)]
enum FlushTimer {
    Idle,
    /// A timer runs for the media that came first after the last flush, at `since`.
    Armed {
        since: Instant,
    },
    /// A timer runs, but its media went out already.
    Spent,
}

impl StreamActor {
    fn new(
        id: StreamId,
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        router: Recipient<StreamNews>,
    ) -> Self {
        Self {
            id,
            room,
            registry,
            router,
            feed: Feed::Vacant { since: Instant::now() },
            last_publisher: 0,
            batcher: Batcher::default(),
            gops: GopCache::new(settings.gop),
            subscribers: Subscribers::default(),
            flush_timer: FlushTimer::Idle,
            unreadable_frames: 0,
            oversized_gops: 0,
            settings,
        }
    }

    fn take(&mut self, frames: Vec<Frame>, ctx: &mut Context<Self>) {
        for frame in frames {
            if let Err(error) = self.batcher.push(frame) {
                self.note_unreadable(&error);
            }
        }
        if self.batcher.has_pending() {
            self.flush_when_due(ctx);
        }
    }

    fn flush_when_due(&mut self, ctx: &mut Context<Self>) {
        match self.settings.flush {
            Flush::EveryTag => self.flush(),
            Flush::EveryPicture if self.batcher.has_pending_video() => self.flush(),
            Flush::EveryPicture if self.batcher.headers().video_codec().is_none() => self.flush(),
            Flush::EveryPicture => self.arm_flush(AUDIO_WAIT, ctx),
            Flush::Every(interval) => self.arm_flush(interval, ctx),
        }
    }

    /// Cancelling a timer at each flush would cost more than letting the last one fire and looking again.
    fn arm_flush(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        let since = Instant::now();
        match self.flush_timer {
            FlushTimer::Armed { .. } => {}
            FlushTimer::Spent => self.flush_timer = FlushTimer::Armed { since },
            FlushTimer::Idle => {
                self.flush_timer = FlushTimer::Armed { since };
                ctx.run_later(delay, move |stream, ctx| stream.flush_timer_fired(delay, ctx));
            }
        }
    }

    fn flush_timer_fired(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        let FlushTimer::Armed { since } = self.flush_timer else {
            self.flush_timer = FlushTimer::Idle;
            return;
        };
        let remaining = delay.saturating_sub(since.elapsed());
        if remaining.is_zero() {
            self.flush_timer = FlushTimer::Idle;
            self.flush();
        } else {
            ctx.run_later(remaining, move |stream, ctx| stream.flush_timer_fired(delay, ctx));
        }
    }

    fn flush(&mut self) {
        if let FlushTimer::Armed { .. } = self.flush_timer {
            self.flush_timer = FlushTimer::Spent;
        }
        for batch in self.batcher.flush() {
            self.keep(&batch);
            self.subscribers.send(&batch, &self.room);
        }
    }

    fn keep(&mut self, batch: &Arc<Batch>) {
        if self.gops.push(batch) == Kept::GopTooLarge {
            self.oversized_gops += 1;
            if self.oversized_gops == 1 {
                warn!(room = self.room.as_str(), limit_bytes = self.settings.gop.size_max_bytes;
                    "a GOP is larger than the cache: viewers wait for the next keyframe");
            }
        }
    }

    fn note_unreadable(&mut self, error: &dyn std::fmt::Display) {
        self.unreadable_frames += 1;
        if self.unreadable_frames == 1 {
            warn!(room = self.room.as_str(), reason:% = error; "frames that cannot be read are left out");
        }
        debug!(room = self.room.as_str(), frames = self.unreadable_frames; "unreadable frame");
    }

    /// The claim is this stream's: the publisher may begin.
    fn go_live(&mut self, claim: Claim, evict: Recipient<Evicted>, ctx: &mut Context<Self>) -> Publication {
        self.last_publisher += 1;
        let publisher = PublisherId(self.last_publisher);
        self.feed = Feed::Live { publisher, claim, evict };
        self.tell_router(News::WentLive);
        self.subscribers.tell(&Delivery::PublisherCame);
        Publication::new(ctx.address(), publisher)
    }

    /// Lets the publisher go. Its room can be claimed by anyone from here on.
    fn become_vacant(&mut self, ctx: &mut Context<Self>) {
        self.flush();
        self.batcher.end_publisher();
        self.gops.clear();
        self.subscribers.tell(&Delivery::PublisherLeft);
        self.oversized_gops = 0;
        let since = Instant::now();
        if let Feed::Live { claim, .. } = std::mem::replace(&mut self.feed, Feed::Vacant { since }) {
            self.registry.release(claim);
        }
        self.wait_for_publisher(ctx);
    }

    /// Ends the stream once it has been vacant for as long as it may.
    fn wait_for_publisher(&mut self, ctx: &mut Context<Self>) {
        let Feed::Vacant { since } = self.feed else { return };
        let remaining = self.vacancy_max().saturating_sub(since.elapsed());
        if remaining.is_zero() {
            ctx.stop();
        } else {
            ctx.run_later(remaining, Self::wait_for_publisher);
        }
    }

    fn vacancy_max(&self) -> Duration {
        match self.last_publisher {
            0 => FIRST_PUBLISHER_WAIT,
            // Nobody has seen anything that could go on.
            _ if self.batcher.newest_ms().is_none() => Duration::ZERO,
            _ => self.settings.grace,
        }
    }

    fn tell_router(&self, what: News) {
        self.router.do_send(StreamNews { room: self.room.clone(), id: self.id, what });
    }

    fn is_fed_by(&self, id: PublisherId) -> bool {
        matches!(&self.feed, Feed::Live { publisher, .. } if *publisher == id)
    }

    fn has_lost(&self, claim: &Claim) -> bool {
        matches!(self.feed, Feed::Claiming { lost_epoch: Some(epoch) } if epoch == claim.epoch)
    }

    /// The registry refused: the stream is what it was before, and over if it never was live.
    fn claim_refused(&mut self, since: Instant, ctx: &mut Context<Self>) {
        self.feed = Feed::Vacant { since };
        if self.last_publisher == 0 {
            ctx.stop();
        } else {
            self.wait_for_publisher(ctx);
        }
    }

    fn claim(
        &mut self,
        vacant_since: Instant,
        evict: Recipient<Evicted>,
        ctx: &mut Context<Self>,
    ) -> AttachFuture {
        self.feed = Feed::Claiming { lost_epoch: None };
        let registry = self.registry.clone();
        let (room, owner) = (self.room.clone(), ctx.address().recipient());
        let claimed = async move { registry.claim(room, owner).await };
        Box::pin(claimed.into_actor(self).map(move |claimed, stream, ctx| match claimed {
            Ok(claim) if stream.has_lost(&claim) => {
                stream.claim_refused(vacant_since, ctx);
                Err(PublishError::Busy)
            }
            Ok(claim) => Ok(stream.go_live(claim, evict, ctx)),
            Err(error) => {
                stream.claim_refused(vacant_since, ctx);
                Err(error.into())
            }
        }))
    }
}

type AttachFuture = ResponseActFuture<StreamActor, Result<Publication, PublishError>>;

impl From<ClaimError> for PublishError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken { .. } => PublishError::Busy,
            ClaimError::Unavailable { .. } => PublishError::Registry(error),
        }
    }
}

impl Actor for StreamActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.wait_for_publisher(ctx);
    }

    /// Runs after a panic as well: neither the room nor its viewers hang on a stream that is gone.
    fn stopped(&mut self, _: &mut Self::Context) {
        let vacant = Feed::Vacant { since: Instant::now() };
        if let Feed::Live { claim, evict, .. } = std::mem::replace(&mut self.feed, vacant) {
            evict.do_send(Evicted);
            self.registry.release(claim);
        }
        self.subscribers.end(EndReason::PublisherLeft);
        self.tell_router(News::Ended);
        if self.last_publisher > 0 {
            info!(room = self.room.as_str(), publishers = self.last_publisher; "stream ended");
        }
    }
}

#[derive(Message)]
#[rtype(result = "Result<Publication, PublishError>")]
struct Attach {
    evict: Recipient<Evicted>,
}

impl Handler<Attach> for StreamActor {
    type Result = AttachFuture;

    fn handle(&mut self, Attach { evict }: Attach, ctx: &mut Self::Context) -> Self::Result {
        match self.feed {
            Feed::Vacant { since } => self.claim(since, evict, ctx),
            Feed::Claiming { .. } | Feed::Live { .. } => Box::pin(fut::ready(Err(PublishError::Busy))),
        }
    }
}

#[derive(Message)]
#[rtype(result = "Result<(), Evicted>")]
struct Media {
    publisher: PublisherId,
    frames: Vec<Frame>,
}

impl Handler<Media> for StreamActor {
    type Result = Result<(), Evicted>;

    fn handle(&mut self, Media { publisher, frames }: Media, ctx: &mut Self::Context) -> Self::Result {
        if !self.is_fed_by(publisher) {
            return Err(Evicted);
        }
        self.take(frames, ctx);
        Ok(())
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Detach(PublisherId);

impl Handler<Detach> for StreamActor {
    type Result = ();

    fn handle(&mut self, Detach(publisher): Detach, ctx: &mut Self::Context) {
        if self.is_fed_by(publisher) {
            self.become_vacant(ctx);
        }
    }
}

impl Handler<ClaimLost> for StreamActor {
    type Result = ();

    fn handle(&mut self, lost: ClaimLost, ctx: &mut Self::Context) {
        match &mut self.feed {
            Feed::Claiming { lost_epoch } => *lost_epoch = Some(lost.epoch),
            Feed::Live { claim, evict, .. } if claim.epoch == lost.epoch => {
                evict.do_send(Evicted);
                self.become_vacant(ctx);
            }
            Feed::Live { .. } | Feed::Vacant { .. } => {}
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Join {
    subscriber: SubscriberId,
    viewer: ViewerId,
    recipient: Recipient<Delivery>,
}

impl Handler<Join> for StreamActor {
    type Result = ();

    fn handle(&mut self, Join { subscriber, viewer, recipient }: Join, _: &mut Self::Context) {
        let point = self.gops.join(self.settings.join_window_ms);
        self.subscribers.join(subscriber, viewer, recipient, point);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leave(SubscriberId);

impl Handler<Leave> for StreamActor {
    type Result = ();

    fn handle(&mut self, Leave(subscriber): Leave, _: &mut Self::Context) {
        self.subscribers.leave(subscriber);
    }
}

#[cfg(test)]
mod tests;
