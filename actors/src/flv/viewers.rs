//! The HTTP-FLV viewers of one room on one worker thread: one actor writes to all their sockets.

mod inbox;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use bytes::Bytes;
use log::{debug, info};
use synctv_media::stream::{
    batch::{Batches, WireFormat},
    gop::JoinPoint,
    room::RoomName,
    viewer_queue::LagLimits,
};
use tokio::net::TcpStream;

use self::inbox::Inbox;
pub use crate::flv::viewer_pool::{PoolEntry, ViewerPool};
use crate::{
    connection_limit::ConnectionPermit,
    events::{EndReason, MAILBOX_MAX, StreamEvent, ViewerId},
    flv::viewer_pool::{PoolKey, ViewerGuard},
    stream::{CountedViewer, StreamHandle},
    viewer_socket::ViewerSocket,
};

/// How often viewers are looked at that take nothing, or went while there was nothing to send.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A viewer who asked for a stream, with the request already read off the socket.
#[derive(Debug)]
pub struct NewViewer {
    /// The viewer's socket, with TCP_NODELAY set.
    pub socket: TcpStream,
    /// Who it is.
    pub peer: SocketAddr,
    /// The head of the response, to be sent before the media.
    pub head: Bytes,
    /// Counts the connection for as long as it lasts.
    pub permit: ConnectionPermit,
    /// Whom it serves.
    pub kind: ViewerKind,
    /// What the head promises.
    pub format: WireFormat,
}

/// Who watches over HTTP-FLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerKind {
    /// Someone who stays while the publisher is away for a moment.
    Viewer,
    /// A node that pulls for its own viewers. It is let go as soon as nobody publishes here, to look elsewhere.
    Node,
}

/// Serves the viewers of one stream on one thread.
#[derive(Debug)]
pub struct FlvViewersActor {
    stream: StreamHandle,
    key: PoolKey,
    limits: Arc<LagLimits>,
    /// In the order of their ids.
    viewers: Vec<Viewer>,
    next_viewer: u64,
    phase: ViewersPhase,
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
    /// Apart, so that what each picture needs of the viewers is close together.
    about: Box<About>,
}

#[derive(Debug)]
struct About {
    peer: SocketAddr,
    since: Instant,
    kind: ViewerKind,
    protocol: &'static str,
    inbox: Inbox,
    _permit: ConnectionPermit,
    _guard: ViewerGuard,
    /// Another node that pulls is none itself.
    _counted: Option<CountedViewer>,
}

/// Why a viewer is no longer served.
#[derive(Debug)]
enum LeaveReason {
    Gone(io::Error),
    Stalled(Duration),
    Ended(EndReason),
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Admit {
    pub viewer: NewViewer,
    pub guard: ViewerGuard,
    /// Another thread accepted it.
    pub is_from_elsewhere: bool,
}

/// A socket that took no more may take more now.
#[derive(Message)]
#[rtype(result = "()")]
struct Writable(ViewerId);

impl FlvViewersActor {
    pub(super) fn new(stream: StreamHandle, key: PoolKey, limits: Arc<LagLimits>) -> Self {
        Self { stream, key, limits, viewers: Vec::new(), next_viewer: 0, phase: ViewersPhase::Streaming }
    }

    /// Takes the viewer in, and gives the head of its response. `None` if it is gone.
    fn admit(
        &mut self,
        id: ViewerId,
        Admit { viewer: new, guard, is_from_elsewhere }: Admit,
    ) -> Option<Bytes> {
        let socket = if is_from_elsewhere { settle(new.socket, new.peer)? } else { new.socket };
        let protocol = protocol(new.kind, new.format);
        info!(room = self.stream.room().as_str(), peer:% = new.peer, protocol = protocol; "viewer came");
        self.viewers.push(Viewer {
            id,
            socket: ViewerSocket::new(socket, new.format, now()),
            about: Box::new(About {
                peer: new.peer,
                since: now(),
                kind: new.kind,
                protocol,
                inbox: Inbox::new(new.kind, new.format),
                _permit: new.permit,
                _guard: guard,
                _counted: (new.kind == ViewerKind::Viewer).then(|| self.stream.count_viewer()),
            }),
        });
        Some(new.head)
    }

    fn media(&mut self, batches: &Batches, after_gap: bool, ctx: &mut Context<Self>) {
        let now = now();
        let (room, limits) = (self.stream.room(), &self.limits);
        self.viewers.retain_mut(|viewer| {
            if after_gap {
                viewer.socket.miss();
            }
            let sent = viewer.socket.send(batches, limits, now);
            viewer.stays(sent, room, ctx)
        });
    }

    fn join(&mut self, id: ViewerId, point: &JoinPoint, ctx: &mut Context<Self>) {
        self.update(id, ctx, |viewer, now| viewer.socket.join(point, now));
    }

    fn end(&mut self, reason: EndReason, ctx: &Context<Self>) {
        self.phase = ViewersPhase::Draining(reason);
        self.let_go(ctx);
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        // It ended, or broke, while this subscription was on its way.
        if self.phase == ViewersPhase::Streaming && !self.stream.is_alive() {
            self.phase = ViewersPhase::Draining(EndReason::PublisherLeft);
        }
        self.let_go(ctx);
        // A viewer may be on its way, from any thread: then the share is not empty.
        if self.viewers.is_empty() && self.key.close_if_empty() {
            self.stream.leave(self.key.id());
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
        if !viewer.stays(changed, self.stream.room(), ctx) {
            self.viewers.remove(at);
        }
    }

    /// For other nodes the stream is over when it is not published here any more.
    fn phase_of_nodes(&self) -> ViewersPhase {
        match self.phase {
            ViewersPhase::Streaming if !self.stream.is_published_here() => {
                ViewersPhase::Draining(EndReason::PublisherLeft)
            }
            phase => phase,
        }
    }

    /// Disconnects viewers that take nothing or close their side, and at the end of the stream those that have everything.
    fn let_go(&mut self, ctx: &Context<Self>) {
        let now = now();
        let (room, limits) = (self.stream.room(), &self.limits);
        let (phase, of_nodes) = (self.phase, self.phase_of_nodes());
        self.viewers.retain_mut(|viewer| {
            let phase = match viewer.about.kind {
                ViewerKind::Viewer => phase,
                ViewerKind::Node => of_nodes,
            };
            match viewer.reason_to_go(phase, limits, now) {
                Some(reason) => {
                    viewer.log_leave(&reason, room);
                    false
                }
                None => viewer.stays(Ok(()), room, ctx),
            }
        });
    }
}

/// As the log calls it.
fn protocol(kind: ViewerKind, format: WireFormat) -> &'static str {
    match (kind, format) {
        (ViewerKind::Node, _) => "pull",
        (ViewerKind::Viewer, WireFormat::FlvMessages) => "ws-flv",
        (ViewerKind::Viewer, _) => "http-flv",
    }
}

impl Viewer {
    /// Whether the viewer is still there after something was sent. If so, its socket is watched.
    fn stays(&mut self, sent: io::Result<()>, room: &RoomName, ctx: &Context<FlvViewersActor>) -> bool {
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
                self.log_leave(&LeaveReason::Gone(error), room);
                false
            }
        }
    }

    fn reason_to_go(&mut self, phase: ViewersPhase, limits: &LagLimits, now: Instant) -> Option<LeaveReason> {
        if let ViewersPhase::Draining(reason) = phase {
            match self.socket.finish(now) {
                Err(error) => return Some(LeaveReason::Gone(error)),
                Ok(()) if self.socket.is_empty() => return Some(LeaveReason::Ended(reason)),
                Ok(()) => {}
            }
        }
        if self.socket.is_stalled(limits, now) {
            return Some(LeaveReason::Stalled(limits.stall_max));
        }
        self.about.inbox.check(&mut self.socket, limits, now).err().map(LeaveReason::Gone)
    }

    fn log_leave(&self, reason: &LeaveReason, room: &RoomName) {
        let (about, dropped) = (&self.about, self.socket.dropped());
        let why = match reason {
            LeaveReason::Gone(error) => format!("the viewer left: {error}"),
            LeaveReason::Stalled(stall_max) => format!("it took nothing for {} s", stall_max.as_secs()),
            LeaveReason::Ended(reason) => reason.to_string(),
        };
        let level =
            if matches!(reason, LeaveReason::Stalled(_)) { log::Level::Warn } else { log::Level::Info };
        log::log!(level,
            room = room.as_str(), peer:% = about.peer, why = why.as_str(), protocol = about.protocol,
            seconds = about.since.elapsed().as_secs(), bytes = self.socket.sent_bytes(),
            dropped_tags = dropped.tags, skips = dropped.skips;
            "viewer left");
    }
}

/// Has a socket of another thread watched by this one.
fn settle(socket: TcpStream, peer: SocketAddr) -> Option<TcpStream> {
    let settled = socket.into_std().and_then(TcpStream::from_std);
    settled
        .inspect_err(|error| debug!(peer:% = peer, reason:% = error; "a viewer is lost between threads"))
        .ok()
}

#[allow(clippy::disallowed_methods, reason = "sockets do not run on the tests' paused clock")]
fn now() -> Instant {
    Instant::now()
}

impl Actor for FlvViewersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
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
            self.stream.join(self.key.id(), id, ctx.address().recipient());
        }
    }
}

impl Handler<StreamEvent> for FlvViewersActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        match event {
            StreamEvent::Media { batches, after_gap } => self.media(&batches, after_gap, ctx),
            StreamEvent::Join { viewer, point } => self.join(viewer, &point, ctx),
            StreamEvent::PublisherCame(_) => {}
            StreamEvent::PublisherLeft => self.let_go(ctx),
            StreamEvent::End(reason) => self.end(reason, ctx),
        }
    }
}

impl Handler<Writable> for FlvViewersActor {
    type Result = ();

    fn handle(&mut self, Writable(id): Writable, ctx: &mut Self::Context) {
        self.update(id, ctx, |viewer, now| viewer.socket.resume(now));
        if self.phase_of_nodes() != ViewersPhase::Streaming {
            self.let_go(ctx);
        }
    }
}

#[cfg(test)]
mod tests;
