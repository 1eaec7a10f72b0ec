//! A stream over an upgrade in place.

use std::{sync::Arc, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseActFuture, WrapFuture, fut};
use synctv_media::{
    access::Confidential,
    stream::{
        batcher::Batcher,
        gop::{GopCache, GopCacheState, ParkedCache},
        keyframe_rhythm::KeyframeRhythm,
    },
};
use tokio::{sync::watch, time::Instant};

use super::StreamActor;
use crate::{
    clock::{SteadyClock, whole_ms},
    cluster::{
        puller::{Followed, PullerHandle},
        registry::RegistryHandle,
        store::Claim,
    },
    events::{
        Arrival, PublisherProfile, Relocation, Source, StreamEnded, StreamEvent, StreamId, StreamSettings,
        StreamState,
    },
    stream::{
        ingest::{Admission, Ingest},
        messages::{EndRestoring, ParkStream, Publication, ResumePublisher},
        meters::StreamMeters,
        resumable::Resumable,
        stats::StatsMeter,
    },
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        moment::{age_ms, instant_of_age},
        states::{FeedState, ParkedStreamState, PullState, RelocationState},
    },
};

/// Time that a restored stream waits for its publisher, which is restored right after it.
const RESUME_WAIT: Duration = Duration::from_secs(10);

type Resumed = ResponseActFuture<StreamActor, Option<Publication>>;

impl StreamActor {
    /// Goes on with a stream that another program parked. It has no publisher, claim or viewers yet.
    pub(in crate::stream) fn restore(
        id: StreamId,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        directory: Recipient<StreamEnded>,
        state: watch::Sender<StreamState>,
        meters: StreamMeters,
        parked: (ParkedStreamState, &Parked),
    ) -> Result<Self, RestoreError> {
        let (parked, lot) = parked;
        let now = Instant::now();
        let mut stream = Self::new(id, parked.room, settings, registry, directory, state, meters);
        stream.batcher = Batcher::restore(parked.batcher, stream.settings.entry, lot.blobs())?;
        stream.restore_cache(parked.gops, lot)?;
        stream.rhythm = KeyframeRhythm::restore(parked.rhythm, parked.clock_ms.cast_signed())?;
        stream.clock = SteadyClock::start();
        stream.stats = StatsMeter::restore(parked.stats);
        stream.meters.resume(parked.counts);
        stream.last_publisher = parked.publishers;
        stream.unreadable_frames = parked.unreadable_frames;
        stream.oversized_gops = parked.oversized_gops;
        stream.received = instant_of_age(parked.received_ago_ms, now);
        stream.resume_feed(parked.feed, lot, now)?;
        Ok(stream)
    }

    fn restore_cache(&mut self, gops: GopCacheState, lot: &Parked) -> Result<(), RestoreError> {
        let was_open = gops.was_open();
        self.gops = GopCache::restore(gops, self.settings.gop, lot.blobs())?;
        if was_open && self.gops.size_bytes() == 0 {
            // Its media was left behind: newcomers get audio at once, and wait for a keyframe no longer than for the first one.
            self.batcher.gop_outgrown();
        }
        Ok(())
    }

    fn resume_feed(&mut self, feed: FeedState, lot: &Parked, now: Instant) -> Result<(), RestoreError> {
        match feed {
            FeedState::Vacant { since_ago_ms, patience_ms } => {
                let since = instant_of_age(since_ago_ms, now);
                self.ingest =
                    Ingest::Vacant { since, patience: Duration::from_millis(patience_ms), seeker: None };
                self.set_state(StreamState::Waiting);
            }
            FeedState::Pulled(pull) => {
                let limit_bytes = self.settings.pull.frame_limit_bytes;
                let followed = pull.map(|pull| Followed::restore(pull, limit_bytes, lot));
                self.resumable_pull = followed.transpose()?;
                if self.resumable_pull.is_none() {
                    // The next puller does not know how far the last one was.
                    self.batcher.end_publisher();
                    self.gops.clear();
                }
                self.ingest = Ingest::vacant(self.settings.pull.grace);
                self.set_state(StreamState::Waiting);
            }
            FeedState::Published { publisher, epoch, who, peer, relocation, is_asked_to_move } => {
                self.ingest = Ingest::vacant(RESUME_WAIT);
                let who = who.as_deref().map(Confidential::new);
                let profile = PublisherProfile { who, peer, relocation: relocation.into() };
                self.resumable = Some(Box::new(Resumable { publisher, epoch, profile, is_asked_to_move }));
                // Other nodes and viewers see no difference.
                self.set_state(StreamState::Live(Source::Local));
            }
        }
        Ok(())
    }

    /// Goes on with the publication on another node that was pulled before.
    fn resume_pull(&mut self, ctx: &mut Context<Self>) {
        if let Some(followed) = self.resumable_pull.take() {
            let puller = PullerHandle::resume(self.pull(ctx), followed);
            self.ingest = Ingest::seeking(self.settings.pull.grace, puller);
            self.end_when_due(ctx);
        }
    }

    fn park(
        &mut self,
        lot: &ParkingLot,
        pull: Option<PullState>,
        ctx: &mut Context<Self>,
    ) -> (ParkedStreamState, ParkedCache) {
        self.flush();
        for timer in [self.end_timer.take(), self.opening_timer.take()].into_iter().flatten() {
            ctx.cancel_future(timer);
        }
        let now = Instant::now();
        let received_ago_ms = age_ms(self.received, now);
        let gops = std::mem::replace(&mut self.gops, GopCache::new(self.settings.gop));
        let parked = ParkedStreamState {
            room: self.room.clone(),
            feed: self.park_feed(pull, now),
            publishers: self.last_publisher,
            batcher: lot.with_blobs(|blobs| self.batcher.state(blobs)),
            rhythm: self.rhythm.state(),
            clock_ms: self.clock.now_ms(),
            gops: GopCacheState::default(),
            stats: self.stats.state(),
            counts: self.meters.state(),
            received_ago_ms,
            unreadable_frames: self.unreadable_frames,
            oversized_gops: self.oversized_gops,
        };
        // It stays, as its viewers take a stream that has ended for the end, until no one has its address.
        self.is_parked = true;
        (parked, ParkedCache::new(gops, received_ago_ms))
    }

    fn park_feed(&mut self, pull: Option<PullState>, now: Instant) -> FeedState {
        match std::mem::replace(&mut self.ingest, Ingest::vacant(Duration::ZERO)) {
            Ingest::Vacant { since, patience, seeker: None } => {
                FeedState::Vacant { since_ago_ms: age_ms(since, now), patience_ms: whole_ms(patience) }
            }
            Ingest::Pulled(_) | Ingest::Vacant { seeker: Some(_), .. } => FeedState::Pulled(pull),
            Ingest::Published { publisher, claim, profile, is_asked_to_move, .. } => FeedState::Published {
                publisher: publisher.0,
                epoch: claim.epoch,
                who: profile.who.map(|who| who.expose().to_owned()),
                peer: profile.peer,
                relocation: profile.relocation.into(),
                is_asked_to_move,
            },
        }
    }

    /// Starts the timers that a restored stream had before.
    pub(super) fn start_timers(&mut self, ctx: &mut Context<Self>) {
        if self.batcher.is_opening() {
            self.arm_opening(ctx);
        }
        if self.batcher.has_pending() {
            self.flush_when_due(false, ctx);
        }
    }
}

impl Handler<ParkStream> for StreamActor {
    type Result = ResponseActFuture<Self, Option<(ParkedStreamState, ParkedCache)>>;

    /// The puller stops first, and what it has sent until then comes before its answer.
    fn handle(&mut self, ParkStream(lot): ParkStream, ctx: &mut Context<Self>) -> Self::Result {
        if lot.is_closed() {
            return Box::pin(fut::ready(None));
        }
        self.accede(ctx);
        let pull = match &mut self.ingest {
            Ingest::Pulled(puller) | Ingest::Vacant { seeker: Some(puller), .. } => Some(puller.park(&lot)),
            Ingest::Vacant { .. } | Ingest::Published { .. } => None,
        };
        let pull = async move { pull?.await };
        Box::pin(pull.into_actor(self).map(move |pull, stream, ctx| Some(stream.park(&lot, pull, ctx))))
    }
}

impl Handler<ResumePublisher> for StreamActor {
    type Result = Resumed;

    fn handle(
        &mut self,
        ResumePublisher { publisher, events }: ResumePublisher,
        ctx: &mut Context<Self>,
    ) -> Resumed {
        let resumable = self.resumable.take_if(|resumable| resumable.publisher == publisher.0);
        let Some(resumable) = resumable else { return Box::pin(fut::ready(None)) };
        let Resumable { epoch, profile, is_asked_to_move, .. } = *resumable;
        self.admission = Admission::Asked { lost_epoch: None };
        let (registry, owner) = (self.registry.clone(), ctx.address().recipient());
        let claim = Claim { room: self.room.clone(), epoch };
        let adopted = async move { registry.adopt(claim, owner).await };
        Box::pin(adopted.into_actor(self).map(move |claimed, stream, ctx| {
            let admission = std::mem::replace(&mut stream.admission, Admission::Idle);
            let claimed = claimed.filter(|claimed| !admission.has_lost(&claimed.claim));
            let Some(claimed) = claimed else {
                stream.become_vacant(ctx);
                return None;
            };
            let numbers = claimed.numbers;
            stream.ingest = Ingest::Published {
                publisher,
                claim: claimed.claim,
                numbers: numbers.clone(),
                profile,
                events,
                is_asked_to_move,
                succession: None,
            };
            stream.end_when_due(ctx);
            stream.notify_publisher();
            stream.subscribers.announce(&StreamEvent::PublisherCame(Arrival::Local(numbers)));
            Some(Publication::new(ctx.address().recipient(), ctx.address().recipient(), publisher))
        }))
    }
}

impl Handler<EndRestoring> for StreamActor {
    type Result = ();

    fn handle(&mut self, _: EndRestoring, ctx: &mut Context<Self>) {
        if self.resumable.take().is_some() {
            self.become_vacant(ctx);
        }
        self.resume_pull(ctx);
    }
}

impl From<Relocation> for RelocationState {
    fn from(relocation: Relocation) -> Self {
        let whole_us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        match relocation {
            Relocation::OnRequest => Self::OnRequest,
            Relocation::AfterClose(pause) => Self::AfterClose(whole_us(pause)),
            Relocation::AtLook { looks_each, lead } => Self::AtLook(looks_each, whole_us(lead)),
        }
    }
}

impl From<RelocationState> for Relocation {
    fn from(state: RelocationState) -> Self {
        match state {
            RelocationState::OnRequest => Self::OnRequest,
            RelocationState::AfterClose(pause_us) => Self::AfterClose(Duration::from_micros(pause_us)),
            RelocationState::AtLook(looks_each, lead_us) => {
                Self::AtLook { looks_each, lead: Duration::from_micros(lead_us) }
            }
        }
    }
}
