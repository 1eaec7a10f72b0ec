//! One viewer among those that a thread serves of a room.

mod upgrade;

use std::{
    io,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use log::debug;
use synctv_media::{cluster::standing::NodeUrl, stream::viewer_queue::LagLimits};

use super::{
    inbox::Inbox,
    messages::{Newcomer, Readable, ViewerGuard, Writable},
    player::PlayerRequest,
};
use crate::{
    connection_limit::ConnectionPermit,
    events::{EndReason, ViewerId},
    stream::StreamHandle,
    viewer_session::{LeaveReason, ViewerSession},
    viewer_socket::ViewerSocket,
};

/// Time for a player that was asked to reconnect to play on its new connection.
const RECONNECT_WAIT: Duration = Duration::from_secs(3);

pub(super) use self::upgrade::ViewerRights;

#[derive(Debug)]
pub(super) struct Viewer {
    pub id: ViewerId,
    pub socket: ViewerSocket,
    /// Apart, so that what each frame needs of the viewers is close together in memory.
    pub details: Box<ViewerDetails>,
}

#[derive(Debug)]
pub(super) struct ViewerDetails {
    pub session: ViewerSession,
    pub inbox: Inbox,
    pub wants_notice: bool,
    leave_phase: LeavePhase,
    _permit: Option<ConnectionPermit>,
    _guard: ViewerGuard,
}

/// The stage of a viewer in leaving a node that drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeavePhase {
    Stays,
    /// It was asked to play on another connection first.
    Asked,
    /// It gets what is queued for it, and then leaves for another node.
    Leaves,
}

/// The state of a viewer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ViewersPhase {
    Streaming,
    /// The stream is over; viewers get what is queued for them.
    Draining(EndReason),
}

impl Viewer {
    /// Takes in a viewer of `stream` on the current thread. `None` if it has disconnected.
    pub fn admit(
        id: ViewerId,
        stream: &StreamHandle,
        new: Newcomer,
        guard: ViewerGuard,
        is_from_elsewhere: bool,
    ) -> Option<Self> {
        let Newcomer { socket, peer, protocol, inbox, wants_notice, head, access, asked, permit } = new;
        let socket = if is_from_elsewhere {
            let moved = socket.into_current_thread();
            moved.inspect_err(|error| debug!(peer:% = peer, reason:% = error; "viewer lost between threads"))
        } else {
            Ok(socket)
        };
        let socket = socket.ok()?;
        let mut session = ViewerSession::begin(stream, peer, protocol, access, asked);
        session.note_head(socket.sent_bytes() + head.len() as u64);
        let details = ViewerDetails {
            session,
            inbox,
            wants_notice,
            leave_phase: LeavePhase::Stays,
            _permit: permit,
            _guard: guard,
        };
        Some(Self { id, socket, details: Box::new(details) })
    }

    /// Returns whether the viewer is another node.
    pub fn is_node(&self) -> bool {
        matches!(self.details.inbox, Inbox::Node)
    }

    /// Returns whether the viewer leaves this node.
    pub fn is_leaving(&self) -> bool {
        self.details.leave_phase == LeavePhase::Leaves
    }

    /// Returns whether the viewer is still there after something was sent. If so, its socket is watched.
    pub fn stays<A>(&mut self, sent: io::Result<()>, ctx: &Context<A>) -> bool
    where
        A: Actor<Context = Context<A>> + Handler<Writable>,
    {
        match sent {
            Ok(()) => {
                self.watch_writable(ctx);
                true
            }
            Err(error) => {
                self.note_disconnection(error);
                false
            }
        }
    }

    /// Apart from [`stays`](Self::stays), which every frame goes through for every viewer.
    #[cold]
    fn note_disconnection(&mut self, error: io::Error) {
        self.note_end(&LeaveReason::Disconnected(error));
    }

    /// Has the actor of `ctx` woken when the socket takes more of what waits.
    pub fn watch_writable<A>(&mut self, ctx: &Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<Writable>,
    {
        let id = self.id;
        self.socket.notify_writable(|| {
            let address = ctx.address();
            move || address.do_send(Writable(id))
        });
    }

    /// Has the actor of `ctx` woken when a player has sent something. Other viewers are looked at once a second.
    pub fn watch_readable<A>(&mut self, ctx: &Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<Readable>,
    {
        if let Inbox::Player(_) = self.details.inbox {
            let id = self.id;
            self.socket.notify_readable(|| {
                let address = ctx.address();
                move || address.do_send(Readable(id))
            });
        }
    }

    /// Reads what a player has sent, and answers.
    pub fn receive(&mut self, now: Instant) -> Result<(), LeaveReason> {
        match &mut self.details.inbox {
            Inbox::Player(player) => player.receive(&mut self.socket, now),
            _ => Ok(()),
        }
    }

    /// Does what a player asks for. Returns whether it has to join the stream again for that.
    pub fn follow_requests(&mut self) -> Result<bool, LeaveReason> {
        let Inbox::Player(player) = &mut self.details.inbox else { return Ok(false) };
        let mut rejoins = false;
        while let Some(request) = player.next_request() {
            match request {
                PlayerRequest::Pause => {
                    self.socket.pause();
                    self.socket.keep_alive();
                }
                PlayerRequest::Resume => self.socket.restart(),
                PlayerRequest::Stop => return Err(LeaveReason::Stopped),
            }
            rejoins = request == PlayerRequest::Resume;
        }
        Ok(rejoins)
    }

    /// Lets the viewer go, as its node drains: now, or after the returned time, in which it may connect elsewhere first.
    /// A player that takes reconnect requests is asked to go to that node.
    pub fn depart(&mut self, to: Option<&NodeUrl>, now: Instant) -> Option<Duration> {
        if let (Inbox::Player(player), LeavePhase::Stays) =
            (&mut self.details.inbox, self.details.leave_phase)
            && player.request_reconnect(&mut self.socket, to, now)
        {
            self.details.leave_phase = LeavePhase::Asked;
            return Some(RECONNECT_WAIT);
        }
        self.details.leave_phase = LeavePhase::Leaves;
        None
    }

    /// The reason the viewer has to go, if it has to.
    pub fn leave_reason(
        &mut self,
        phase: ViewersPhase,
        limits: &LagLimits,
        now: Instant,
    ) -> Option<LeaveReason> {
        if let Some(cut) = self.details.session.cut() {
            return Some(LeaveReason::Cut(cut));
        }
        let phase = if self.is_leaving() { ViewersPhase::Draining(EndReason::NodeDraining) } else { phase };
        if let ViewersPhase::Draining(reason) = phase
            && let Some(reason) = self.finish(reason, now)
        {
            return Some(reason);
        }
        if self.socket.is_stalled(limits, now) {
            return Some(LeaveReason::Stalled(limits.stall_max));
        }
        self.details.inbox.check(&mut self.socket, limits, now).err().map(LeaveReason::Disconnected)
    }

    /// Ends the media. Returns why the viewer leaves once it may: a player's connection outlasts its play and takes along
    /// what waits.
    fn finish(&mut self, reason: EndReason, now: Instant) -> Option<LeaveReason> {
        if let Inbox::Player(_) = self.details.inbox {
            return Some(LeaveReason::Ended(reason));
        }
        match self.socket.finish(now) {
            Err(error) => Some(LeaveReason::Disconnected(error)),
            Ok(()) => self.socket.is_empty().then_some(LeaveReason::Ended(reason)),
        }
    }

    /// Counts and logs the end of the viewer's stay. A player gets its connection back.
    pub fn leave(mut self, reason: &LeaveReason) {
        self.note_end(reason);
        let ViewerDetails { session, inbox, .. } = *self.details;
        drop(session);
        if let Inbox::Player(player) = inbox {
            player.release(self.socket, reason);
        }
    }

    fn note_end(&mut self, reason: &LeaveReason) {
        self.details.session.end(reason, self.socket.delivered());
    }
}
