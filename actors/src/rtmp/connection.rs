//! One RTMP connection while it negotiates, publishes or closes.

mod applicant;
mod limits;
mod play;
mod publish;
mod role;
mod upgrade;

use std::{
    future::Future,
    io,
    sync::Arc,
    task::{self, Poll},
};

use actix::{
    Actor, ActorContext, ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Message,
    fut::wrap_future,
};
use log::{debug, info};
use synctv_media::{
    rtmp::session::{Event, SessionError, StreamRequest},
    stream::wire_format::WireFormat,
};
use tokio::time::Instant;

pub(crate) use self::upgrade::PublisherRestorer;
use self::{applicant::Applicant, role::Role};
use super::{
    connections::Parking,
    conversation::Conversation,
    read_coalescing::{ReadCoalescing, Readiness},
    read_loop::{self, ReadFlow, ReadLoop, ReadSide},
    settings::{NewConnection, RtmpServices},
};
use crate::{events::PublisherEvent, viewer_session::LeaveReason, viewer_socket::ViewerSocket};

/// The actor of one connection. It reads, lets what was read take effect, then reads on: a stream that cannot follow
/// slows its publisher down through TCP.
pub struct RtmpConnectionActor {
    /// None once it plays: then the viewers of its room have it.
    connection: Option<Connection>,
}

type ConnectionContext = Context<RtmpConnectionActor>;

struct Connection {
    conversation: Conversation,
    socket: ViewerSocket,
    read_flow: ReadFlow,
    read_coalescing: ReadCoalescing,
    /// An event that waits for the frames before it to be taken.
    next_event: Option<Event>,
    role: Role,
    /// The node is upgraded, and waits for the connection to stop.
    parking: Option<Parking>,
}

/// The future of a connection whose play has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterPlay {
    /// The peer may play or publish again.
    GoesOn,
    /// It gets what waits for it, and is closed.
    Closes,
}

/// The socket may take more of what waits.
#[derive(Message)]
#[rtype(result = "()")]
struct Writable;

impl RtmpConnectionActor {
    /// Serves a connection on the current thread.
    pub fn serve(new: NewConnection, services: Arc<RtmpServices>) {
        new.wire.set_nodelay(new.peer);
        let socket = ViewerSocket::new(new.wire, WireFormat::RtmpChunks, Instant::now().into_std());
        let conversation = Conversation::new(new.peer, new.admission, services);
        Self::own(conversation, socket, Role::negotiating());
    }

    /// Serves a connection again whose play has ended, on the current thread.
    pub(super) fn take_back(conversation: Conversation, socket: ViewerSocket, after: AfterPlay) {
        let role = match after {
            AfterPlay::GoesOn => Role::negotiating(),
            AfterPlay::Closes => Role::closing(),
        };
        Self::own(conversation, socket.for_new_owner(), role);
    }

    fn own(conversation: Conversation, socket: ViewerSocket, role: Role) {
        let connection = Connection {
            conversation,
            socket,
            read_flow: ReadFlow::Open,
            read_coalescing: ReadCoalescing::Each,
            next_event: None,
            role,
            parking: None,
        };
        Self { connection: Some(connection) }.start();
    }

    /// Does something to the connection, unless it plays by now.
    fn with(&mut self, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = &mut self.connection {
            change(connection);
        }
    }

    /// Waits for `future`, and goes on with what it gives.
    fn after<T: 'static>(
        future: impl Future<Output = T> + 'static,
        then: impl FnOnce(T, &mut Self, &mut ConnectionContext) + 'static,
    ) -> impl ActorFuture<Self, Output = ()> + 'static {
        wrap_future::<_, Self>(future).map(then)
    }
}

impl Connection {
    /// Waits for `future`, and goes on with what it gives, unless the connection plays by then.
    fn after<T: 'static>(
        ctx: &mut ConnectionContext,
        future: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut ConnectionContext) + 'static,
    ) {
        ctx.spawn(RtmpConnectionActor::after(future, |output, actor, ctx| {
            actor.with(|connection| then(connection, output, ctx));
        }));
    }

    /// Begins, or goes on behind a play: the peer may have sent more, and not have read all.
    fn begin(&mut self, ctx: &mut ConnectionContext) {
        // Not before: a closing connection whose socket is empty has nothing left to say.
        let replied = self.conversation.send_replies(&mut self.socket);
        self.after_write(replied.map(drop), ctx);
        self.proceed(ctx);
    }

    /// Goes on after something that the connection waited for.
    fn go_on(&mut self, ctx: &mut ConnectionContext) {
        self.read_flow.resume();
        self.proceed(ctx);
        self.park_if_asked(ctx);
    }

    /// Lets events take effect, up to one that has to be waited for.
    fn proceed(&mut self, ctx: &mut ConnectionContext) {
        let mut frames = Vec::with_capacity(self.conversation.session.event_count());
        while self.read_flow.is_open() && !self.role.is_closing() {
            match self.next_event.take().or_else(|| self.conversation.next_event()) {
                Some(Event::Frame(frame)) => {
                    frames.push(frame);
                    self.conversation.session.poll_frames(&mut frames);
                }
                event if !frames.is_empty() => {
                    self.next_event = event;
                    self.deliver(std::mem::take(&mut frames), ctx);
                }
                Some(Event::Publish(request)) => self.ask_to_publish(request, ctx),
                Some(Event::Play(request)) => self.ask_to_play(request, ctx),
                Some(Event::Unpublish) => self.leave_role(&LeaveReason::Unpublished),
                // Events of a player, which this connection is not.
                Some(Event::Stop | Event::Pause | Event::Resume | Event::Unreadable(_)) => {}
                None => return,
            }
        }
    }

    fn applicant(&self, request: StreamRequest) -> Applicant {
        let services = &self.conversation.services;
        let (gatekeeper, directory) = (services.gatekeeper.clone(), services.directory.clone());
        Applicant { gatekeeper, directory, peer: self.conversation.peer, request }
    }

    fn send_replies(&mut self, ctx: &mut ConnectionContext) {
        match self.conversation.send_replies(&mut self.socket) {
            Ok(false) => {}
            sent => self.after_write(sent.map(drop), ctx),
        }
    }

    fn after_write(&mut self, sent: io::Result<()>, ctx: &mut ConnectionContext) {
        if let Err(error) = sent {
            return self.lose(error, ctx);
        }
        if self.socket.is_empty() {
            return self.finish_sending();
        }
        self.socket.notify_writable(|| {
            let address = ctx.address();
            move || address.do_send(Writable)
        });
    }

    /// The last reply is out: the peer sees the end, and has a while to close its side.
    fn finish_sending(&mut self) {
        if self.role.is_closing() {
            // A peer that has disconnected needs no goodbye.
            let _ = self.socket.wire().shutdown_write();
        }
    }

    /// Ends what the connection does, for a reason that is not the peer's.
    fn cut(&mut self, reason: &LeaveReason, ctx: &mut ConnectionContext) {
        let why = reason.to_string();
        self.leave_role(reason);
        self.conversation.session.end_publish(&why);
        self.linger(ctx);
    }

    /// Sends what is left to be said. The peer's side stays open for a while; what is read there is thrown away.
    fn linger(&mut self, ctx: &mut ConnectionContext) {
        if !self.role.is_closing() {
            self.role = Role::closing();
        }
        self.send_replies(ctx);
        if self.socket.is_empty() {
            self.finish_sending();
        }
    }

    /// Ends the connection because of what the peer did or did not do.
    fn close(&mut self, reason: &LeaveReason, ctx: &mut ConnectionContext) {
        if let Role::Negotiating { .. } = self.role {
            info!(peer:% = self.conversation.peer, why:% = reason; "RTMP connection closed");
        }
        self.leave_role(reason);
        self.linger(ctx);
    }

    /// Stops publishing, and says so in the log.
    fn leave_role(&mut self, reason: &LeaveReason) {
        let left = std::mem::replace(&mut self.role, Role::negotiating());
        self.read_coalescing.announce_each(self.socket.wire());
        match left {
            Role::Publishing(publishing) => {
                let Conversation { services, peer, received_bytes, .. } = &self.conversation;
                services.directory.metrics().publisher_ends.get(reason.publisher_end()).inc();
                publishing.leave(reason, *peer, *received_bytes);
            }
            Role::Negotiating { .. } | Role::Closing { .. } => self.role = left,
        }
    }

    /// Reads the peer's data. Data for a closing connection is dropped.
    fn receive(&mut self, readiness: Readiness) -> io::Result<Result<(), SessionError>> {
        let wire = self.socket.wire();
        match self.role {
            Role::Closing { .. } => read_loop::receive(wire, readiness, |_| Ok(())),
            _ => self.conversation.receive(wire, readiness),
        }
    }

    fn take_effect(&mut self, fed: Result<(), SessionError>, ctx: &mut ConnectionContext) {
        self.send_replies(ctx);
        match self.conversation.violation(fed, &self.socket).filter(|_| !self.role.is_closing()) {
            None => self.proceed(ctx),
            Some(reason) => self.close(&reason, ctx),
        }
    }

    fn lose(&mut self, error: io::Error, ctx: &mut ConnectionContext) {
        debug!(peer:% = self.conversation.peer, reason:% = error; "RTMP connection lost");
        self.leave_role(&LeaveReason::Disconnected(error));
        ctx.stop();
    }

    fn publisher_event(&mut self, event: PublisherEvent, ctx: &mut ConnectionContext) {
        match event {
            PublisherEvent::Evicted(evicted) => self.evicted(evicted, ctx),
            PublisherEvent::Reconnect { to } => {
                self.conversation.request_reconnect(self.socket.wire(), to.as_ref());
                self.send_replies(ctx);
            }
            PublisherEvent::ViewersCame => self.read_coalescing.announce_each(self.socket.wire()),
            PublisherEvent::ViewersLeft => self.read_coalescing.coalesce(self.socket.wire()),
        }
    }
}

impl ReadSide for RtmpConnectionActor {
    /// An error is the peer's violation of the protocol.
    type Received = Result<(), SessionError>;

    fn poll_readable(&mut self, task: &mut task::Context<'_>) -> Poll<io::Result<Readiness>> {
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        task::ready!(connection.read_flow.poll_open(task));
        connection.read_coalescing.poll(connection.socket.wire(), task)
    }

    fn receive(&mut self, readiness: Readiness) -> io::Result<Self::Received> {
        self.connection.as_mut().map_or(Ok(Ok(())), |connection| connection.receive(readiness))
    }

    fn take_effect(&mut self, fed: Self::Received, ctx: &mut ConnectionContext) {
        self.with(|connection| connection.take_effect(fed, ctx));
    }

    fn peer_disconnected(&mut self, error: io::Error, ctx: &mut ConnectionContext) {
        self.with(|connection| connection.lose(error, ctx));
    }
}

impl Actor for RtmpConnectionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.with(|connection| {
            let interval = connection.conversation.services.settings.check_interval();
            ctx.run_interval(interval, |actor, ctx| actor.with(|connection| connection.check(ctx)));
            connection.begin(ctx);
        });
        ctx.spawn(ReadLoop);
    }
}

impl Handler<Writable> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Writable, ctx: &mut Self::Context) {
        self.with(|connection| {
            let sent = connection.socket.resume(Instant::now().into_std());
            connection.after_write(sent, ctx);
        });
    }
}

impl Handler<PublisherEvent> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, event: PublisherEvent, ctx: &mut Self::Context) {
        self.with(|connection| connection.publisher_event(event, ctx));
    }
}
