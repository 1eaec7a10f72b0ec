//! A live stream: its headers, its cached GOPs, its timeline, and who is subscribed to it.

mod accession;
mod edge;
mod flush;
mod moving;
mod notes;
mod publication;
mod upgrade;

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};
use log::info;
use synctv_media::stream::{
    batcher::Batcher,
    frame::Frame,
    gop::{GopCache, JoinPoint},
    keyframe_rhythm::KeyframeRhythm,
    room::RoomName,
};
use tokio::{sync::watch, time::Instant};

use super::{
    absence::Absence,
    flush_timer::FlushTimer,
    ingest::{Admission, Ingest},
    messages::{GetStats, Join, Leave, Rejoin},
    meters::{IngestTally, StreamMeters},
    resumable::Resumable,
    stats::{StatsMeter, StreamStats},
    subscribers::Subscribers,
};
use crate::{
    clock::SteadyClock,
    cluster::{puller::Followed, registry::RegistryHandle},
    events::{
        Arrival, EndReason, Evicted, PublisherEvent, StreamEnded, StreamEvent, StreamId, StreamSettings,
        StreamState, SubscriberRole,
    },
};

/// Time that a new stream waits for the publisher that it was started for.
const FIRST_PUBLISHER_WAIT: Duration = Duration::from_secs(10);

/// The actor. It outlives its publisher by the grace.
pub struct StreamActor {
    id: StreamId,
    room: RoomName,
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    /// The directory, which is notified when the stream is over.
    directory: Recipient<StreamEnded>,
    state: watch::Sender<StreamState>,
    ingest: Ingest,
    admission: Admission,
    last_publisher: u64,
    batcher: Batcher,
    rhythm: KeyframeRhythm,
    /// Times of the rhythm are this clock's.
    clock: SteadyClock,
    gops: GopCache,
    subscribers: Subscribers,
    /// The time at which the last viewer left, if none has joined since.
    unwatched_since: Option<Instant>,
    end_timer: Option<SpawnHandle>,
    flush_timer: FlushTimer,
    /// Ends the wait for tracks that a publisher announced.
    opening_timer: Option<SpawnHandle>,
    last_flush: Option<Instant>,
    stats: StatsMeter,
    unreadable_frames: u64,
    oversized_gops: u64,
    meters: StreamMeters,
    tally: IngestTally,
    /// The time at which the newest frame was read.
    received: Instant,
    absence: Absence,
    /// The node is upgraded: all that the stream had is with the next program.
    is_parked: bool,
    /// The publisher of before an upgrade, until its connection is there again.
    resumable: Option<Box<Resumable>>,
    /// The publication on another node that was pulled before an upgrade, until the viewers are there again.
    resumable_pull: Option<Followed>,
}

impl StreamActor {
    pub(super) fn new(
        id: StreamId,
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        directory: Recipient<StreamEnded>,
        state: watch::Sender<StreamState>,
        meters: StreamMeters,
    ) -> Self {
        Self {
            id,
            room,
            registry,
            directory,
            state,
            ingest: Ingest::vacant(FIRST_PUBLISHER_WAIT),
            admission: Admission::Idle,
            last_publisher: 0,
            batcher: Batcher::new(settings.entry),
            rhythm: KeyframeRhythm::default(),
            clock: SteadyClock::start(),
            gops: GopCache::new(settings.gop),
            subscribers: Subscribers::default(),
            unwatched_since: Some(Instant::now()),
            end_timer: None,
            flush_timer: FlushTimer::Idle,
            opening_timer: None,
            last_flush: None,
            stats: StatsMeter::default(),
            unreadable_frames: 0,
            oversized_gops: 0,
            meters,
            tally: IngestTally::default(),
            received: Instant::now(),
            absence: Absence::default(),
            is_parked: false,
            resumable: None,
            resumable_pull: None,
            settings,
        }
    }

    /// Takes frames, of which the last was read at `received`.
    fn take(&mut self, frames: Vec<Frame>, received: Instant, ctx: &mut Context<Self>) {
        let mut is_flush_point = false;
        self.received = received;
        self.rhythm.note_messages(frames.len());
        for frame in frames {
            self.tally.add(&frame);
            match self.batcher.push(frame) {
                Ok(is_point) => is_flush_point |= is_point,
                Err(error) => self.note_unreadable(&error),
            }
        }
        self.note_keyframe();
        if self.batcher.has_pending() {
            self.flush_when_due(is_flush_point, ctx);
        } else if self.batcher.is_opening() {
            self.arm_opening(ctx);
        }
        self.log_notes();
    }

    /// Returns the time at which the stream ends if nothing changes.
    fn ends_at(&self) -> Option<Instant> {
        match (&self.ingest, self.admission) {
            (_, Admission::Asked { .. }) | (Ingest::Published { .. }, _) => None,
            (Ingest::Vacant { since, patience, .. }, _) => Some(*since + *patience),
            (Ingest::Pulled(_), _) => Some(self.unwatched_since? + self.settings.pull.linger),
        }
    }

    fn end_when_due(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.end_timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(ends_at) = self.ends_at() else { return };
        let remaining = ends_at.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            ctx.stop();
        } else {
            self.end_timer = Some(ctx.run_later(remaining, Self::end_when_due));
        }
    }

    /// The media that a viewer who joins now begins with; `None` if it has to wait for a keyframe.
    fn join_point(&mut self) -> Option<JoinPoint> {
        let cached = self.gops.join(self.batcher.tracks());
        let audio_first = || {
            let headers = self.batcher.headers_for_audio_first()?;
            Some(JoinPoint { headers, batches: Vec::new() })
        };
        cached.or_else(audio_first)
    }

    fn state(&self) -> StreamState {
        *self.state.borrow()
    }

    fn set_state(&self, state: StreamState) {
        self.state.send_replace(state);
    }
}

impl Actor for StreamActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_timers(ctx);
        self.end_when_due(ctx);
    }

    /// Runs after a panic as well: neither the room nor its viewers wait for a stream that has ended.
    fn stopped(&mut self, _: &mut Self::Context) {
        if self.is_parked {
            return;
        }
        let vacant = Ingest::vacant(Duration::ZERO);
        if let Ingest::Published { claim, events, .. } = std::mem::replace(&mut self.ingest, vacant) {
            events.do_send(PublisherEvent::Evicted(Evicted::StreamGone));
            self.registry.release(claim);
        }
        self.absence.give_up(self.meters.node());
        self.subscribers.end(EndReason::PublisherLeft);
        self.directory.do_send(StreamEnded { room: self.room.clone(), id: self.id });
        if self.state() != StreamState::Starting {
            info!(room = self.room.as_str(), publishers = self.last_publisher; "stream ended");
        }
    }
}

impl Handler<Join> for StreamActor {
    type Result = ();

    fn handle(&mut self, Join { subscriber, role, viewer, recipient }: Join, ctx: &mut Self::Context) {
        if let (SubscriberRole::Segmenter, Ingest::Published { numbers, succession: None, .. }) =
            (role, &self.ingest)
        {
            recipient.do_send(StreamEvent::PublisherCame(Arrival::Local(numbers.clone())));
        }
        let point = self.join_point();
        self.subscribers.join(subscriber, role, viewer, recipient, point);
        self.viewers_changed(ctx);
    }
}

impl Handler<Rejoin> for StreamActor {
    type Result = ();

    fn handle(&mut self, Rejoin { subscriber, role, recipient }: Rejoin, ctx: &mut Context<Self>) {
        self.subscribers.rejoin(subscriber, role, recipient);
        self.viewers_changed(ctx);
    }
}

impl Handler<Leave> for StreamActor {
    type Result = ();

    fn handle(&mut self, Leave(subscriber): Leave, ctx: &mut Self::Context) {
        self.subscribers.leave(subscriber);
        self.viewers_changed(ctx);
    }
}

impl Handler<GetStats> for StreamActor {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, _: &mut Self::Context) -> Self::Result {
        let is_fed = matches!(self.state(), StreamState::Live(_));
        let stats = self.stats.report(&self.batcher, &self.gops, is_fed);
        MessageResult(StreamStats { publisher: self.ingest.publisher_address(), ..stats })
    }
}

#[cfg(test)]
mod tests;
