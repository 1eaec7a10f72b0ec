//! Cuts one stream into HLS segments: a subscriber like any other.
//!
//! It lives on the stream's own thread. Frames are held as they are and written when their segment ends: 2 s of 1.5
//! Mbit/s take less than half a millisecond. Waking another thread for every frame would cost more, also to the stream.

mod continuation;
mod feed;
mod held_outputs;
mod upgrade;

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use log::{error, info, warn};
use synctv_media::hls::{
    container::{Container, Unsupported},
    interleaver::SKEW_MAX_MS,
    segment::Output,
    segmenter::{AnnouncedTracks, Segmenter},
    ts::container::TsContainer,
    wall_clock::WallClock,
};
use tokio::time::Instant;

use self::held_outputs::{DatedOutput, HeldOutputs};
use super::{
    parked_segmenter::FormContainer,
    session::HlsSession,
    session_store::SessionStore,
    settings::{HlsForm, HlsMode},
};
use crate::{
    cluster::registry::numbers::NumberReserve,
    events::{Arrival, StreamEvent, SubscriberId, SubscriberRole, ViewerId},
    stream::StreamHandle,
    subscription::Subscription,
};

/// The segmenter is the only viewer of its subscription.
const VIEWER: ViewerId = ViewerId(0);

/// Interval of the check for viewers, and for the end of the stream.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The actor. It outlives its stream until the ended playlist is removed.
pub(crate) struct SegmenterActor<C: Container = TsContainer> {
    store: SessionStore,
    form: HlsForm,
    stream: StreamHandle,
    /// Until another node cuts the room.
    subscription: Option<Subscription>,
    phase: SegmenterPhase,
    /// It goes on after an upgrade, and the stream has not named its publisher yet.
    awaits_its_publisher: bool,
    /// Until it is known where the playlist begins.
    held: Option<HeldOutputs>,
    /// Sessions that went on elsewhere before the room came back: their segments stay for a while.
    past: Vec<Arc<HlsSession>>,
    segmenter: Segmenter<C>,
    announced: Option<AnnouncedTracks>,
    wall_clock: WallClock,
    unreadable_frames: u64,
    warned_of_cut: bool,
    warned_of_skew: bool,
}

enum SegmenterPhase {
    /// The stream has not been published yet.
    Idle,
    /// Media is cut.
    Cutting(Arc<HlsSession>),
    /// The publisher's codec does not fit; the next publisher's may.
    Refusing(Arc<HlsSession>),
    /// The stream is over; what there is stays for a while.
    Ended(Arc<HlsSession>),
}

impl<C: FormContainer> SegmenterActor<C> {
    /// Starts to cut `stream`, on its thread; `session` is there already if a viewer asked for it.
    pub(crate) fn start(
        store: SessionStore,
        stream: StreamHandle,
        form: HlsForm,
        session: Option<Arc<HlsSession>>,
    ) -> Recipient<StreamEvent> {
        let subscription = Subscription::new(stream, SubscriberRole::Segmenter);
        let segmenter = store.segmenter(C::default());
        let mut actor = Self::new(store, form, subscription, segmenter);
        actor.phase = session.map_or(SegmenterPhase::Idle, SegmenterPhase::Cutting);
        actor.start_on_stream(Self::join_live)
    }

    /// One that has not begun.
    fn new(store: SessionStore, form: HlsForm, subscription: Subscription, segmenter: Segmenter<C>) -> Self {
        Self {
            store,
            form,
            stream: subscription.stream().clone(),
            subscription: Some(subscription),
            phase: SegmenterPhase::Idle,
            awaits_its_publisher: false,
            held: None,
            past: Vec::new(),
            segmenter,
            announced: None,
            wall_clock: WallClock::default(),
            unreadable_frames: 0,
            warned_of_cut: false,
            warned_of_skew: false,
        }
    }

    /// Starts it on its stream's thread, and has `join` subscribe it: from here and not from `started`, so that it comes before
    /// anyone publishes.
    fn start_on_stream(
        self,
        join: impl FnOnce(&StreamHandle, SubscriberId, Recipient<StreamEvent>),
    ) -> Recipient<StreamEvent> {
        let (store, stream) = (self.store.clone(), self.stream.clone());
        let id = self.subscription.as_ref().map(Subscription::id);
        let address = Self::start_in_arbiter(stream.thread().arbiter(), move |_| self);
        store.note_segmenter(address.downgrade().recipient());
        if let Some(id) = id {
            join(&stream, id, address.clone().recipient());
        }
        address.recipient()
    }

    /// With the media that the stream has cached.
    fn join_live(stream: &StreamHandle, id: SubscriberId, segmenter: Recipient<StreamEvent>) {
        stream.join(id, SubscriberRole::Segmenter, VIEWER, segmenter);
    }

    /// Without it, as it is in segments already.
    fn rejoin(stream: &StreamHandle, id: SubscriberId, segmenter: Recipient<StreamEvent>) {
        stream.rejoin(id, SubscriberRole::Segmenter, segmenter);
    }

    fn publisher_came(&mut self, reserve: NumberReserve, ctx: &mut Context<Self>) {
        if self.goes_on_with(&reserve) {
            return;
        }
        self.settle_numbers(None);
        self.splice();
        self.announced = None;
        self.wall_clock.restart();
        let session = match std::mem::replace(&mut self.phase, SegmenterPhase::Idle) {
            SegmenterPhase::Idle => None,
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) => Some(session),
            phase @ SegmenterPhase::Ended(_) => {
                self.phase = phase;
                return;
            }
        };
        let session = match session {
            Some(session) if session.is_new() => {
                session.come_back();
                session
            }
            Some(session) if session.resume(reserve.clone()) => {
                self.phase = SegmenterPhase::Cutting(session);
                return;
            }
            before => {
                before.into_iter().for_each(|session| self.leave_behind(session, ctx));
                self.store.begin(self.stream.room(), self.form)
            }
        };
        self.phase = SegmenterPhase::Cutting(session);
        self.begin_numbers(reserve, ctx);
    }

    /// The room was on another node since, with numbers above those of the session.
    fn leave_behind(&mut self, session: Arc<HlsSession>, ctx: &mut Context<Self>) {
        if !session.leave_behind() {
            return self.store.remove(&session);
        }
        session.remove_at(Instant::now() + self.store.keep_ended());
        self.past.push(session.clone());
        ctx.run_later(self.store.keep_ended(), move |segmenter, _| {
            segmenter.past.retain(|past| !Arc::ptr_eq(past, &session));
            segmenter.store.remove(&session);
        });
    }

    fn publisher_left(&mut self) {
        self.splice();
        if let SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) = &self.phase {
            session.vacate();
        }
    }

    /// Another node cuts the room from here on. Whatever is cut here later is another session, by another segmenter.
    fn hand_over(&mut self, ctx: &mut Context<Self>) {
        let (SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)) = &self.phase else {
            return;
        };
        let session = session.clone();
        self.settle_numbers(None);
        self.splice();
        self.subscription = None;
        if self.store.mode(self.form) == Some(HlsMode::Always) {
            Self::start(self.store.clone(), self.stream.clone(), self.form, None);
        }
        self.stay_ended(session.leave_behind(), session, ctx);
    }

    /// Ends the segment: the media that follows does not continue it.
    fn splice(&mut self) {
        self.segmenter.discontinuity();
        self.publish_finished();
    }

    fn publish_finished(&mut self) {
        if self.segmenter.late_frames() > 0 && !self.warned_of_skew {
            self.warned_of_skew = true;
            warn!(room = self.stream.room().as_str(), skew_max_ms = SKEW_MAX_MS;
                "HLS: audio and video are sent too far apart to be put in order; players may stutter");
        }
        while let Some(output) = self.segmenter.next_output() {
            self.publish(output);
        }
    }

    fn publish(&mut self, output: Output) {
        let first_ms = match &output {
            Output::Segment(segment) => {
                if segment.forced_cut && !self.warned_of_cut {
                    self.warned_of_cut = true;
                    warn!(room = self.stream.room().as_str(), duration_ms = segment.duration_ms;
                        "HLS: no keyframe for too long, segments are cut without; players may not be able to start");
                }
                Some(segment.first_ms)
            }
            Output::Part(part) => part.head.as_ref().map(|head| head.first_ms),
        };
        let date_ms = first_ms.map_or(0, |first_ms| self.wall_clock.date_ms(first_ms));
        self.list_in_turn((output, date_ms));
    }

    fn list(&self, (output, date_ms): DatedOutput) {
        let SegmenterPhase::Cutting(session) = &self.phase else { return };
        match output {
            Output::Segment(segment) => self.store.publish(session, segment, date_ms),
            Output::Part(part) => self.store.publish_part(session, part, date_ms),
        }
    }

    fn refuse(&mut self, unsupported: Unsupported) {
        self.splice();
        self.refuse_for_now(unsupported);
        self.phase = match std::mem::replace(&mut self.phase, SegmenterPhase::Idle) {
            SegmenterPhase::Cutting(session) => SegmenterPhase::Refusing(session),
            phase => phase,
        };
    }

    /// The first segment takes it back: another track or another header may come.
    fn refuse_for_now(&mut self, unsupported: Unsupported) {
        let SegmenterPhase::Cutting(session) = &self.phase else { return };
        if session.refuse(unsupported) {
            info!(room = self.stream.room().as_str(), codec:% = unsupported.codec, reason:% = unsupported.reason;
                "HLS: the codec does not fit the segments, the playlist is refused");
        }
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.settle_numbers(None);
        self.segmenter.finish();
        self.publish_finished();
        match &self.phase {
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) => {
                let session = session.clone();
                self.stay_ended(session.end(), session, ctx);
            }
            SegmenterPhase::Idle | SegmenterPhase::Ended(_) => ctx.stop(),
        }
    }

    /// Keeps the playlist and segments for a while after the end.
    fn stay_ended(&mut self, has_segments: bool, session: Arc<HlsSession>, ctx: &mut Context<Self>) {
        if has_segments {
            session.remove_at(Instant::now() + self.store.keep_ended());
            self.phase = SegmenterPhase::Ended(session);
            ctx.run_later(self.store.keep_ended(), |_, ctx| ctx.stop());
        } else {
            ctx.stop();
        }
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        match &self.phase {
            SegmenterPhase::Ended(_) => {}
            _ if self.store.is_parking() => {}
            _ if !self.stream.is_alive() => self.end(ctx),
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)
                if self.store.is_idle(session) =>
            {
                ctx.stop();
            }
            SegmenterPhase::Idle | SegmenterPhase::Cutting(_) | SegmenterPhase::Refusing(_) => {}
        }
    }
}

impl<C: FormContainer> Actor for SegmenterActor<C> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Subscription::prepare(ctx);
        ctx.run_interval(CHECK_INTERVAL, |segmenter, ctx| segmenter.check(ctx));
    }
}

/// Runs after a panic as well: viewers would wait for ever for the next segment of a playlist that nothing extends.
impl<C: Container> Drop for SegmenterActor<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(room = self.stream.room().as_str(); "HLS: the stream is no longer cut into segments");
        }
        match &self.phase {
            SegmenterPhase::Idle => {}
            SegmenterPhase::Cutting(session)
            | SegmenterPhase::Refusing(session)
            | SegmenterPhase::Ended(session) => {
                self.store.remove(session);
            }
        }
        self.past.iter().for_each(|session| self.store.remove(session));
    }
}

impl<C: FormContainer> Handler<StreamEvent> for SegmenterActor<C> {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        match event {
            StreamEvent::Media { batches, after_gap, .. } => self.media(&batches, after_gap),
            StreamEvent::Join { point, .. } => self.join(&point),
            StreamEvent::PublisherCame(Arrival::Local(reserve)) => self.publisher_came(reserve, ctx),
            StreamEvent::PublisherCame(Arrival::Remote) => self.hand_over(ctx),
            StreamEvent::PublisherLeft => {
                self.awaits_its_publisher = false;
                self.publisher_left();
            }
            StreamEvent::LeaveWithin(_) => {}
            StreamEvent::End(_) => self.end(ctx),
        }
    }
}

#[cfg(test)]
mod tests;
