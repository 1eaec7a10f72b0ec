//! The viewers of one room on one worker thread: one actor writes to all their sockets.

mod upgrade;

pub(super) use self::upgrade::{ParkedViewers, PlayerMaker};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use synctv_media::{
    cluster::standing::NodeUrl,
    flv::moving,
    stream::{batch::Batches, gop::JoinPoint, viewer_queue::LagLimits},
};

use super::{
    departures::{Departure, Departures, Step},
    messages::{Admit, Readable, Writable},
    pool_state::PoolKey,
    viewer::{Viewer, ViewersPhase},
};
use crate::{
    events::{EndReason, LeaveWindow, StreamEvent, SubscriberRole, ViewerId},
    stream::StreamHandle,
    subscription::Subscription,
    viewer_session::LeaveReason,
};

/// Interval of the check for viewers that accept nothing, or that disconnected while there was nothing to send.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum interval of the check for viewers whose moment to leave has come.
const DEPARTURE_INTERVAL: Duration = Duration::from_millis(100);

/// Serves the viewers of one stream on one thread.
#[derive(Debug)]
pub(super) struct RoomViewersActor {
    subscription: Subscription,
    key: PoolKey,
    limits: Arc<LagLimits>,
    /// In the order of their ids.
    viewers: Vec<Viewer>,
    next_viewer: u64,
    /// Some of them have not been sent any media yet.
    awaits_media: bool,
    phase: ViewersPhase,
    departures: Departures,
    /// The node to which players that take reconnect requests are sent.
    next_node: Option<NodeUrl>,
}

impl RoomViewersActor {
    pub(super) fn new(stream: StreamHandle, key: PoolKey, limits: Arc<LagLimits>) -> Self {
        let subscription = Subscription::new(stream, SubscriberRole::Viewers);
        Self {
            subscription,
            key,
            limits,
            viewers: Vec::new(),
            next_viewer: 0,
            awaits_media: false,
            phase: ViewersPhase::Streaming,
            departures: Departures::default(),
            next_node: None,
        }
    }

    fn stream(&self) -> &StreamHandle {
        self.subscription.stream()
    }

    fn media(
        &mut self,
        batches: &Batches,
        after_gap: bool,
        received: tokio::time::Instant,
        ctx: &mut Context<Self>,
    ) {
        let now = now();
        let limits = &self.limits;
        self.viewers.retain_mut(|viewer| {
            if after_gap {
                viewer.socket.miss();
            }
            let sent = viewer.socket.send(batches, limits, now);
            viewer.stays(sent, ctx)
        });
        self.note_first_media();
        if !self.viewers.is_empty() {
            self.stream().meters().node().publish_to_send.observe(received.elapsed());
        }
    }

    /// Notes who was sent media for the first time. Costs nothing once all were.
    fn note_first_media(&mut self) {
        if self.awaits_media {
            let viewers = self.viewers.iter_mut();
            let awaiting = viewers.filter_map(|viewer| {
                viewer.details.session.awaits_media(viewer.socket.sent_bytes()).then_some(())
            });
            self.awaits_media = awaiting.count() > 0;
        }
    }

    fn join(&mut self, id: ViewerId, point: &JoinPoint, ctx: &mut Context<Self>) {
        self.update(id, ctx, |viewer, now| Ok(viewer.socket.join(point, now)?));
        self.note_first_media();
    }

    fn end(&mut self, reason: EndReason, ctx: &Context<Self>) {
        self.phase = ViewersPhase::Draining(reason);
        self.close_finished(ctx);
    }

    /// Lets the viewers go within the window. Other nodes stay for as long as the room is published here.
    fn leave_within(&mut self, window: LeaveWindow, ctx: &mut Context<Self>) {
        let is_meant = |viewer: &&Viewer| !window.only_encrypted || viewer.socket.is_tls();
        let leaving = self.viewers.iter().filter(|viewer| !viewer.is_node()).filter(is_meant);
        let wants_notice = |viewer: &Viewer| (viewer.id, viewer.details.wants_notice);
        self.departures = Departures::new(leaving.map(wants_notice), &window);
        self.next_node = window.next_node;
        self.depart(ctx);
    }

    /// Gives notice to those viewers, and lets those go, whose moment has come.
    fn depart(&mut self, ctx: &mut Context<Self>) {
        let now = tokio::time::Instant::now();
        let mut is_due = false;
        while let Some(Departure { viewer, step, .. }) = self.departures.next_due(now) {
            match step {
                Step::Notice(after) => self.update(viewer, ctx, |viewer, now| {
                    Ok(viewer.socket.send_tags(&moving::tag(after), now)?)
                }),
                Step::Leave => match self.let_go(viewer, ctx) {
                    Some(wait) => self.departures.postpone(viewer, now + wait),
                    None => is_due = true,
                },
            }
        }
        if is_due {
            self.close_finished(ctx);
        }
        if let Some(next) = self.departures.next_moment() {
            ctx.run_later(next.saturating_duration_since(now).max(DEPARTURE_INTERVAL), Self::depart);
        }
    }

    /// Lets one viewer go. Returns how long it may stay, if it was asked to connect elsewhere first.
    fn let_go(&mut self, id: ViewerId, ctx: &mut Context<Self>) -> Option<Duration> {
        let (mut wait, next_node) = (None, self.next_node.clone());
        self.update(id, ctx, |viewer, now| {
            wait = viewer.depart(next_node.as_ref(), now);
            Ok(())
        });
        wait
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        // It ended, or broke, while this subscription was on its way.
        if self.phase == ViewersPhase::Streaming && !self.stream().is_alive() {
            self.phase = ViewersPhase::Draining(EndReason::PublisherLeft);
        }
        self.close_finished(ctx);
        for viewer in &mut self.viewers {
            viewer.details.session.count(viewer.socket.delivered());
        }
        // A viewer may be on its way, from any thread: then the share is not empty.
        if self.viewers.is_empty() && self.key.close_if_empty() {
            ctx.stop();
        }
    }

    /// Does something to one viewer, who may have left by now, or has to for the returned reason.
    fn update(
        &mut self,
        id: ViewerId,
        ctx: &mut Context<Self>,
        change: impl FnOnce(&mut Viewer, Instant) -> Result<(), LeaveReason>,
    ) {
        let Ok(at) = self.viewers.binary_search_by_key(&id, |viewer| viewer.id) else {
            return;
        };
        let Some(viewer) = self.viewers.get_mut(at) else {
            return;
        };
        match change(viewer, now()) {
            Ok(()) => {
                viewer.watch_writable(ctx);
                viewer.watch_readable(ctx);
            }
            Err(reason) => self.viewers.remove(at).leave(&reason),
        }
    }

    /// Does what a player has asked for.
    fn follow_requests(&mut self, id: ViewerId, ctx: &mut Context<Self>) {
        let mut rejoins = false;
        self.update(id, ctx, |viewer, _| {
            rejoins = viewer.follow_requests()?;
            Ok(())
        });
        if rejoins && self.phase == ViewersPhase::Streaming {
            self.subscription.join(id, ctx.address().recipient());
        }
    }

    /// For other nodes the stream is over when it is not published here any more.
    fn phase_of_nodes(&self) -> ViewersPhase {
        match self.phase {
            ViewersPhase::Streaming if !self.stream().is_published_here() => {
                ViewersPhase::Draining(EndReason::PublisherLeft)
            }
            phase => phase,
        }
    }

    /// Disconnects viewers that accept nothing or close their side, and at the end of the stream those that have everything.
    fn close_finished(&mut self, ctx: &Context<Self>) {
        let now = now();
        let (phase, of_nodes) = (self.phase, self.phase_of_nodes());
        let viewers = std::mem::take(&mut self.viewers).into_iter();
        let limits = &self.limits;
        let staying = viewers.filter_map(|mut viewer| {
            let phase = if viewer.is_node() { of_nodes } else { phase };
            if let Some(reason) = viewer.leave_reason(phase, limits, now) {
                viewer.leave(&reason);
                return None;
            }
            viewer.watch_writable(ctx);
            Some(viewer)
        });
        self.viewers = staying.collect();
    }
}

#[allow(clippy::disallowed_methods, reason = "sockets do not run on the tests' paused clock")]
fn now() -> Instant {
    Instant::now()
}

impl Actor for RoomViewersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Subscription::prepare(ctx);
        ctx.run_interval(STALL_CHECK_INTERVAL, Self::check);
        if !self.viewers.is_empty() {
            self.resume_restored(ctx);
        }
    }
}

impl Handler<Admit> for RoomViewersActor {
    type Result = ();

    fn handle(&mut self, Admit { viewer: new, guard, is_from_elsewhere }: Admit, ctx: &mut Self::Context) {
        let id = ViewerId(self.next_viewer);
        self.next_viewer += 1;
        let head = new.head.clone();
        let admitted = Viewer::admit(id, self.stream(), new, guard, is_from_elsewhere);
        let Some(viewer) = admitted else { return };
        self.viewers.push(viewer);
        self.awaits_media = true;
        self.update(id, ctx, |viewer, now| Ok(viewer.socket.send_control(head, now)?));
        if self.phase == ViewersPhase::Streaming {
            self.subscription.join(id, ctx.address().recipient());
        }
        self.follow_requests(id, ctx);
    }
}

impl Handler<StreamEvent> for RoomViewersActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        match event {
            StreamEvent::Media { batches, after_gap, received } => {
                self.media(&batches, after_gap, received, ctx);
            }
            StreamEvent::Join { viewer, point } => self.join(viewer, &point, ctx),
            StreamEvent::PublisherCame(_) => {}
            StreamEvent::PublisherLeft => self.close_finished(ctx),
            StreamEvent::LeaveWithin(window) => self.leave_within(window, ctx),
            StreamEvent::End(reason) => self.end(reason, ctx),
        }
    }
}

impl Handler<Writable> for RoomViewersActor {
    type Result = ();

    fn handle(&mut self, Writable(id): Writable, ctx: &mut Self::Context) {
        self.update(id, ctx, |viewer, now| Ok(viewer.socket.resume(now)?));
        let is_leaving = |viewer: &Viewer| viewer.id == id && viewer.is_leaving();
        if self.phase_of_nodes() != ViewersPhase::Streaming || self.viewers.iter().any(is_leaving) {
            self.close_finished(ctx);
        }
    }
}

impl Handler<Readable> for RoomViewersActor {
    type Result = ();

    fn handle(&mut self, Readable(id): Readable, ctx: &mut Self::Context) {
        self.update(id, ctx, |viewer, now| viewer.receive(now));
        self.follow_requests(id, ctx);
    }
}
