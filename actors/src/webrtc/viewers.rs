//! The WebRTC viewers of one stream that one thread serves: one actor packetizes the media once and sends it to all of them.
//!
//! The first is on the stream's own thread, like the segmenter: media that stays on its thread wakes no other.

use std::{collections::HashMap, time::Duration};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient};
use synctv_media::{
    stream::{batch::Batches, gop::JoinPoint},
    webrtc::{
        audio::rate::OpusRate,
        gop::RtpGop,
        packetizer::{MediaProfile, Packetizer, Unit},
    },
};
use tokio::{sync::oneshot, time::Instant};

use super::{
    batch_sender::BatchSender,
    joining::JoiningViewer,
    messages::{
        Admit, CloseSession, Datagrams, GetProfile, SessionEnded, StopIfIdle, ViewersIdle, WatchError,
    },
    session_id::SessionId,
    socket::WebRtcSocket,
    ticker::Ticker,
    viewer::{Room, Viewer},
    warnings::Warnings,
};
use crate::{
    events::{EndReason, LeaveWindow, StreamEvent, SubscriberRole, ViewerId},
    stream::StreamHandle,
    subscription::Subscription,
    thread::ActorThread,
    viewer_session::LeaveReason,
};

/// The actor is the only viewer of its subscription: it keeps the newest GOP itself, in RTP.
const VIEWER: ViewerId = ViewerId(0);

/// Interval of the check for viewers who left.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Time that it waits for viewers before it stops: viewers that reload their page come back at once.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// The recipients of an actor's reports.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub ended: Recipient<SessionEnded>,
    pub idle: Recipient<ViewersIdle>,
}

/// The actor.
pub(super) struct WebRtcViewersActor {
    subscription: Subscription,
    sender: BatchSender,
    port: Port,
    packetizer: Packetizer,
    gop: RtpGop,
    /// Of one flush; kept for its memory.
    units: Vec<Unit>,
    /// The stream's codecs are known.
    has_media: bool,
    viewers: HashMap<SessionId, Viewer>,
    /// Viewers that wait until the codecs are known. The limit on viewers bounds them.
    waiting: Vec<oneshot::Sender<Result<MediaProfile, WatchError>>>,
    /// The times at which viewers leave, once the node drains.
    leave_window: Option<LeaveWindow>,
    idle_since: Option<Instant>,
    warnings: Warnings,
    ticker: Ticker,
}

impl WebRtcViewersActor {
    /// Starts it on a thread.
    pub fn start(
        stream: &StreamHandle,
        thread: &ActorThread,
        socket: WebRtcSocket,
        port: Port,
        rate: OpusRate,
    ) -> Addr<Self> {
        let subscription = Subscription::new(stream.clone(), SubscriberRole::Viewers);
        Self::start_in_arbiter(thread.arbiter(), move |_| Self {
            subscription,
            sender: BatchSender::new(socket),
            port,
            packetizer: Packetizer::new(rate),
            gop: RtpGop::default(),
            units: Vec::new(),
            has_media: false,
            viewers: HashMap::new(),
            waiting: Vec::new(),
            leave_window: None,
            idle_since: None,
            warnings: Warnings::default(),
            ticker: Ticker::default(),
        })
    }

    fn stream(&self) -> &StreamHandle {
        self.subscription.stream()
    }

    fn join(&mut self, point: &JoinPoint) {
        self.packetizer.read_headers(&point.headers);
        for batch in &point.batches {
            self.packetizer.push(batch, &mut self.units);
        }
        for unit in self.units.drain(..) {
            if let Unit::Video(unit) = unit {
                self.gop.push(&unit);
            }
        }
        self.media_came();
    }

    fn media(&mut self, batches: &Batches, after_gap: bool, received: Instant) {
        if after_gap {
            self.miss();
        }
        let has_start = batches.iter().any(|batch| batch.start.is_some());
        self.packetizer.set_listeners(self.viewers.values().any(Viewer::gets_audio));
        for batch in batches.iter() {
            self.packetizer.push(batch, &mut self.units);
        }
        self.send_units();
        if !self.viewers.is_empty() {
            self.stream().meters().node().publish_to_send.observe(received.elapsed());
        }
        if has_start {
            self.media_came();
        }
    }

    /// Sends the units of a flush to all viewers: the packets of video, which are larger, and then those of audio, of which the first
    /// can be the last of the video's call to the kernel.
    fn send_units(&mut self) {
        let units = std::mem::take(&mut self.units);
        for unit in &units {
            if let Unit::Video(unit) = unit {
                self.gop.push(unit);
            }
        }
        self.each_viewer(|viewer, room| {
            for unit in &units {
                if let Unit::Video(unit) = unit {
                    viewer.push_video(unit, room);
                }
            }
            for unit in &units {
                if let Unit::Audio(unit) = unit {
                    viewer.push_audio(unit, room);
                }
            }
            viewer.wake(room)
        });
        self.units = units;
        self.units.clear();
    }

    /// Does something with each viewer, and lets go of those with whom it fails.
    fn each_viewer(&mut self, mut turn: impl FnMut(&mut Viewer, &Room<'_>) -> Result<(), LeaveReason>) {
        let (sender, gop) = (&self.sender, &self.gop);
        let room = Room { sender, gop, now: now() };
        let mut left = Vec::new();
        for (id, viewer) in &mut self.viewers {
            if let Err(reason) = turn(viewer, &room) {
                left.push((*id, reason));
            }
        }
        for (id, reason) in left {
            self.leave(id, &reason);
        }
    }

    fn leave(&mut self, id: SessionId, reason: &LeaveReason) {
        let Some(viewer) = self.viewers.remove(&id) else { return };
        let (sender, gop) = (&self.sender, &self.gop);
        viewer.leave(reason, &Room { sender, gop, now: now() });
        self.port.ended.do_send(SessionEnded(id));
    }

    fn leave_all(&mut self, reason: impl Fn() -> LeaveReason) {
        let ids: Vec<_> = self.viewers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.leave(id, &reason()));
    }

    /// Answers the waiting viewers, as the codecs are known, and ends sessions that cannot decode the new ones.
    fn media_came(&mut self) {
        self.has_media = true;
        let outdated = |viewer: &Viewer| Some((viewer.id, self.outdated(viewer.profile)?));
        let outdated: Vec<_> = self.viewers.values().filter_map(outdated).collect();
        outdated.iter().for_each(|(id, reason)| self.leave(*id, reason));
        for answer in std::mem::take(&mut self.waiting) {
            self.answer(answer);
        }
        self.warnings.log_once(self.subscription.stream().room(), &self.packetizer);
    }

    /// Returns the reason why a viewer whose offer was answered for this profile cannot go on, if there is one.
    fn outdated(&self, agreed: MediaProfile) -> Option<LeaveReason> {
        match self.packetizer.profile() {
            Ok(now) if agreed.covers(now) => None,
            Ok(_) => Some(LeaveReason::Closed("the stream has another codec".to_owned())),
            Err(unplayable) => Some(LeaveReason::Closed(unplayable.to_string())),
        }
    }

    fn answer(&self, answer: oneshot::Sender<Result<MediaProfile, WatchError>>) {
        // The port may have given up waiting.
        let _ = answer.send(self.packetizer.profile().map_err(WatchError::from));
    }

    fn admit(&mut self, joined: JoiningViewer) {
        let (id, profile) = (joined.id, joined.profile);
        let mut viewer = Viewer::new(joined, self.subscription.stream());
        if let Some(window) = &self.leave_window {
            viewer.leave_at(window.next_moment().into_std());
        }
        let started = viewer.start(&Room { sender: &self.sender, gop: &self.gop, now: now() });
        self.viewers.insert(id, viewer);
        // The codecs may have changed since its offer was answered.
        let outdated = self.has_media.then(|| self.outdated(profile)).flatten();
        if let Some(reason) = outdated.or(started.err()) {
            self.leave(id, &reason);
        }
    }

    fn publisher_changed(&mut self) {
        self.packetizer.end_publisher();
        self.has_media = false;
        self.warnings = Warnings::default();
        self.miss();
    }

    fn miss(&mut self) {
        self.gop.clear();
        self.viewers.values_mut().for_each(Viewer::miss);
    }

    fn end(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        self.leave_all(|| LeaveReason::Ended(reason));
        for answer in self.waiting.drain(..) {
            // The port may have given up waiting.
            let _ = answer.send(Err(WatchError::Ended));
        }
        ctx.stop();
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.each_viewer(Viewer::tick);
        let paces = self.viewers.values().any(Viewer::is_replaying);
        self.ticker.set(paces, ctx, Self::tick);
    }

    /// Has the timer run at the pace of replays if one has begun for this viewer.
    fn keep_pace(&mut self, id: SessionId, ctx: &mut Context<Self>) {
        if !self.ticker.paces() && self.viewers.get(&id).is_some_and(Viewer::is_replaying) {
            self.ticker.set(true, ctx, Self::tick);
        }
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        // It ended while this subscription was on its way.
        if !self.stream().is_alive() {
            return self.end(EndReason::PublisherLeft, ctx);
        }
        self.waiting.retain(|answer| !answer.is_closed());
        self.each_viewer(|viewer, room| {
            viewer.count();
            viewer.leave_reason(room.now).map_or(Ok(()), Err)
        });
        if !self.is_idle() {
            self.idle_since = None;
        } else if self.idle_since.get_or_insert_with(Instant::now).elapsed() >= IDLE_MAX {
            self.report_idle(ctx);
        }
    }

    fn report_idle(&self, ctx: &Context<Self>) {
        let viewers = ctx.address().recipient();
        let (stream, thread) = (self.stream().id(), std::thread::current().id());
        self.port.idle.do_send(ViewersIdle { stream, thread, viewers });
    }

    fn is_idle(&self) -> bool {
        self.viewers.is_empty() && self.waiting.is_empty()
    }
}

/// The runtime's clock, which tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Actor for WebRtcViewersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Subscription::prepare(ctx);
        self.subscription.join(VIEWER, ctx.address().recipient());
        self.ticker.set(false, ctx, Self::tick);
        ctx.run_interval(CHECK_INTERVAL, Self::check);
    }

    /// Runs after a panic as well: the port sends no more viewers here.
    fn stopped(&mut self, ctx: &mut Self::Context) {
        self.viewers.keys().for_each(|id| self.port.ended.do_send(SessionEnded(*id)));
        self.report_idle(ctx);
    }
}

impl Handler<StreamEvent> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        match event {
            StreamEvent::Media { batches, after_gap, received } => self.media(&batches, after_gap, received),
            StreamEvent::Join { point, .. } => self.join(&point),
            StreamEvent::PublisherCame(_) | StreamEvent::PublisherLeft => self.publisher_changed(),
            StreamEvent::LeaveWithin(window) => {
                // At once if the window has no length: the program may be replaced next.
                self.each_viewer(|viewer, room| {
                    viewer.leave_at(window.next_moment().into_std());
                    viewer.leave_reason(room.now).map_or(Ok(()), Err)
                });
                self.leave_window = Some(window);
            }
            StreamEvent::End(reason) => self.end(reason, ctx),
        }
    }
}

impl Handler<GetProfile> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, GetProfile(answer): GetProfile, _: &mut Self::Context) {
        if self.has_media {
            self.answer(answer);
        } else {
            self.waiting.push(answer);
        }
    }
}

impl Handler<Admit> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, Admit(joined): Admit, ctx: &mut Self::Context) {
        let id = joined.id;
        self.admit(*joined);
        self.keep_pace(id, ctx);
    }
}

impl Handler<Datagrams> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, Datagrams(datagrams): Datagrams, ctx: &mut Self::Context) {
        for (id, datagram) in datagrams {
            let (sender, gop) = (&self.sender, &self.gop);
            let Some(viewer) = self.viewers.get_mut(&id) else { continue };
            let room = Room { sender, gop, now: now() };
            if let Err(reason) = viewer.receive(&datagram, &room) {
                self.leave(id, &reason);
            }
            self.keep_pace(id, ctx);
        }
    }
}

impl Handler<CloseSession> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, CloseSession(id): CloseSession, _: &mut Self::Context) {
        self.leave(id, &LeaveReason::Stopped);
    }
}

impl Handler<StopIfIdle> for WebRtcViewersActor {
    type Result = ();

    fn handle(&mut self, _: StopIfIdle, ctx: &mut Self::Context) {
        if self.is_idle() {
            ctx.stop();
        }
    }
}
