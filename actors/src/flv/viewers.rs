//! The HTTP-FLV viewers of one room on one worker thread: one actor writes to all their sockets.

mod departures;
mod inbox;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use bytes::Bytes;
use log::debug;
use synctv_media::{
    flv::moving,
    stream::{batch::Batches, gop::JoinPoint, viewer_queue::LagLimits},
};

use self::{
    departures::{Departure, Departures, Step},
    inbox::Inbox,
};
use super::{
    messages::{Admit, ViewerGuard, ViewerKind, Writable},
    pool_state::PoolKey,
};
use crate::{
    connection_limit::ConnectionPermit,
    events::{EndReason, LeaveWindow, StreamEvent, SubscriberRole, ViewerId},
    stream::StreamHandle,
    subscription::Subscription,
    viewer_session::{LeaveReason, ViewerSession},
    viewer_socket::ViewerSocket,
    wire::Wire,
};

/// How often viewers are looked at that take nothing, or went while there was nothing to send.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked, at most, whose moment to leave has come.
const DEPARTURE_INTERVAL: Duration = Duration::from_millis(100);

/// Serves the viewers of one stream on one thread.
#[derive(Debug)]
pub(super) struct FlvViewersActor {
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ViewersPhase {
    Streaming,
    /// The stream is over; viewers get what is queued for them.
    Draining(EndReason),
}

#[derive(Debug)]
struct Viewer {
    id: ViewerId,
    socket: ViewerSocket,
    /// Apart, so that what each frame needs of the viewers is close together in memory.
    details: Box<ViewerDetails>,
}

#[derive(Debug)]
struct ViewerDetails {
    session: ViewerSession,
    kind: ViewerKind,
    inbox: Inbox,
    wants_notice: bool,
    /// It gets what is queued for it, and then leaves for another node.
    is_leaving: bool,
    _permit: ConnectionPermit,
    _guard: ViewerGuard,
}

impl FlvViewersActor {
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
        }
    }

    /// Takes the viewer in, and returns the head of its response. `None` if it has disconnected.
    fn admit(
        &mut self,
        id: ViewerId,
        Admit { viewer: new, guard, is_from_elsewhere }: Admit,
    ) -> Option<Bytes> {
        let wire = if is_from_elsewhere { settle(new.wire, new.peer)? } else { new.wire };
        let protocol = new.kind.protocol(new.format);
        let mut session = ViewerSession::begin(self.stream(), new.peer, protocol, new.access, new.asked);
        session.note_head(new.head.len() as u64);
        self.awaits_media = true;
        self.viewers.push(Viewer {
            id,
            socket: ViewerSocket::new(wire, new.format, now()),
            details: Box::new(ViewerDetails {
                session,
                kind: new.kind,
                inbox: Inbox::new(new.kind, new.format),
                wants_notice: new.wants_notice,
                is_leaving: false,
                _permit: new.permit,
                _guard: guard,
            }),
        });
        Some(new.head)
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
        self.update(id, ctx, |viewer, now| viewer.socket.join(point, now));
        self.note_first_media();
    }

    fn end(&mut self, reason: EndReason, ctx: &Context<Self>) {
        self.phase = ViewersPhase::Draining(reason);
        self.close_finished(ctx);
    }

    /// Lets the viewers go within the window. Other nodes stay for as long as the room is published here.
    fn leave_within(&mut self, window: LeaveWindow, ctx: &mut Context<Self>) {
        let leaving = self.viewers.iter().filter(|viewer| viewer.details.kind == ViewerKind::Viewer);
        self.departures =
            Departures::new(leaving.map(|viewer| (viewer.id, viewer.details.wants_notice)), window);
        self.depart(ctx);
    }

    /// Gives notice to those viewers, and lets those go, whose moment has come.
    fn depart(&mut self, ctx: &mut Context<Self>) {
        let now = tokio::time::Instant::now();
        let mut is_due = false;
        while let Some(Departure { viewer, step, .. }) = self.departures.next_due(now) {
            match step {
                Step::Notice(after) => {
                    self.update(viewer, ctx, |viewer, now| viewer.socket.send_tags(&moving::tag(after), now))
                }
                Step::Leave => {
                    self.update(viewer, ctx, |viewer, _| {
                        viewer.details.is_leaving = true;
                        Ok(())
                    });
                    is_due = true;
                }
            }
        }
        if is_due {
            self.close_finished(ctx);
        }
        if let Some(next) = self.departures.next_moment() {
            ctx.run_later(next.saturating_duration_since(now).max(DEPARTURE_INTERVAL), Self::depart);
        }
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

    /// Does something to one viewer, who may have left by now.
    fn update(
        &mut self,
        id: ViewerId,
        ctx: &mut Context<Self>,
        change: impl FnOnce(&mut Viewer, Instant) -> io::Result<()>,
    ) {
        let Ok(at) = self.viewers.binary_search_by_key(&id, |viewer| viewer.id) else {
            return;
        };
        let Some(viewer) = self.viewers.get_mut(at) else {
            return;
        };
        let changed = change(viewer, now());
        if !viewer.stays(changed, ctx) {
            self.viewers.remove(at);
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
        let limits = &self.limits;
        let (phase, of_nodes) = (self.phase, self.phase_of_nodes());
        self.viewers.retain_mut(|viewer| {
            let phase = match viewer.details.kind {
                ViewerKind::Viewer if viewer.details.is_leaving => {
                    ViewersPhase::Draining(EndReason::NodeDraining)
                }
                ViewerKind::Viewer => phase,
                ViewerKind::Node => of_nodes,
            };
            match viewer.leave_reason(phase, limits, now) {
                Some(reason) => {
                    viewer.details.session.end(&reason, viewer.socket.delivered());
                    false
                }
                None => viewer.stays(Ok(()), ctx),
            }
        });
    }
}

impl Viewer {
    /// Whether the viewer is still there after something was sent. If so, its socket is watched.
    fn stays(&mut self, sent: io::Result<()>, ctx: &Context<FlvViewersActor>) -> bool {
        match sent {
            Ok(()) => {
                let id = self.id;
                self.socket.notify_writable(|| {
                    let address = ctx.address();
                    move || address.do_send(Writable(id))
                });
                true
            }
            Err(error) => {
                self.details.session.end(&LeaveReason::Disconnected(error), self.socket.delivered());
                false
            }
        }
    }

    fn leave_reason(&mut self, phase: ViewersPhase, limits: &LagLimits, now: Instant) -> Option<LeaveReason> {
        if let Some(cut) = self.details.session.cut() {
            return Some(LeaveReason::Cut(cut));
        }
        if let ViewersPhase::Draining(reason) = phase {
            match self.socket.finish(now) {
                Err(error) => return Some(LeaveReason::Disconnected(error)),
                Ok(()) if self.socket.is_empty() => return Some(LeaveReason::Ended(reason)),
                Ok(()) => {}
            }
        }
        if self.socket.is_stalled(limits, now) {
            return Some(LeaveReason::Stalled(limits.stall_max));
        }
        self.details.inbox.check(&mut self.socket, limits, now).err().map(LeaveReason::Disconnected)
    }
}

/// Brings a connection that another thread accepted to this one.
fn settle(wire: Wire, peer: SocketAddr) -> Option<Wire> {
    wire.into_current_thread()
        .inspect_err(|error| debug!(peer:% = peer, reason:% = error; "viewer lost between threads"))
        .ok()
}

#[allow(clippy::disallowed_methods, reason = "sockets do not run on the tests' paused clock")]
fn now() -> Instant {
    Instant::now()
}

impl Actor for FlvViewersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Subscription::prepare(ctx);
        ctx.run_interval(STALL_CHECK_INTERVAL, Self::check);
    }
}

impl Handler<Admit> for FlvViewersActor {
    type Result = ();

    fn handle(&mut self, admit: Admit, ctx: &mut Self::Context) {
        let id = ViewerId(self.next_viewer);
        self.next_viewer += 1;
        let Some(head) = self.admit(id, admit) else { return };
        self.update(id, ctx, |viewer, now| viewer.socket.send_control(head, now));
        if self.phase == ViewersPhase::Streaming {
            self.subscription.join(id, ctx.address().recipient());
        }
    }
}

impl Handler<StreamEvent> for FlvViewersActor {
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

impl Handler<Writable> for FlvViewersActor {
    type Result = ();

    fn handle(&mut self, Writable(id): Writable, ctx: &mut Self::Context) {
        self.update(id, ctx, |viewer, now| viewer.socket.resume(now));
        let is_leaving = |viewer: &Viewer| viewer.id == id && viewer.details.is_leaving;
        if self.phase_of_nodes() != ViewersPhase::Streaming || self.viewers.iter().any(is_leaving) {
            self.close_finished(ctx);
        }
    }
}

#[cfg(test)]
mod tests;
