//! One RTMP connection: it negotiates, then publishes a room or plays one.

mod admission;
mod read_coalescing;
mod read_loop;
mod role;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use log::{debug, info, warn};
use synctv_media::{
    rtmp::session::{Event, Phase, Session, SessionConfig, SessionError, StreamRequest},
    stream::{
        batch::{Batches, WireFormat},
        frame::Frame,
        viewer_queue::LagLimits,
    },
};
use tokio::{net::TcpStream, time::Instant};

use self::{
    admission::{Applicant, NotAdmitted},
    read_coalescing::{ReadCoalescing, Readiness},
    read_loop::{ReadFlow, ReadLoop},
    role::{Playing, Publishing, Role},
};
use crate::{
    access::{Gatekeeper, Session as AccessSession},
    connection_limit::ConnectionPermit,
    directory::{OpenError, StreamDirectory},
    events::{EndReason, MAILBOX_MAX, StreamEvent},
    stream::{Evicted, Publication, PublishError, PublisherEvent, Refused, StreamHandle},
    viewer_socket::ViewerSocket,
};

/// How much may wait for a peer that makes us answer and does not read, in bytes.
const CONTROL_MAX_BYTES: usize = 256 * 1024;

/// How long a connection that was refused stays, so that the peer reads why before the reset.
const LINGER: Duration = Duration::from_secs(2);

/// How often time limits are looked at, unless one is so short that this would miss it.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A publisher that falls silent is looked at this often until it counts as gone: to be pinged, and to answer.
const CHECKS_PER_PUBLISHER_TIMEOUT: u32 = 4;

/// What all RTMP connections have in common.
#[derive(Debug, Clone)]
pub struct RtmpSettings {
    /// The protocol's own settings.
    pub session: Arc<SessionConfig>,
    /// For players.
    pub lag: Arc<LagLimits>,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection may neither publish nor play.
    pub idle_timeout: Duration,
    /// How long a publisher may be silent. It is pinged halfway.
    pub publisher_timeout: Duration,
}

/// A connection that was just accepted.
#[derive(Debug)]
pub struct NewConnection {
    /// Its socket.
    pub socket: TcpStream,
    /// Who it is.
    pub peer: SocketAddr,
    /// Counts it for as long as it lasts.
    pub permit: ConnectionPermit,
}

/// The actor of one connection. It reads, lets what was read take effect, then reads on: a stream that cannot follow
/// slows its publisher down through TCP.
pub struct RtmpConnectionActor {
    peer: SocketAddr,
    settings: Arc<RtmpSettings>,
    directory: StreamDirectory,
    gatekeeper: Gatekeeper,
    read_flow: ReadFlow,
    read_coalescing: ReadCoalescing,
    session: Session,
    /// An event that waits for the frames before it to be taken.
    next_event: Option<Event>,
    role: Role,
    socket: ViewerSocket,
    last_received: Instant,
    received_bytes: u64,
    _permit: ConnectionPermit,
}

/// The socket may take more of what waits.
#[derive(Message)]
#[rtype(result = "()")]
struct Writable;

impl RtmpConnectionActor {
    /// Serves a connection on the current thread.
    pub fn serve(
        new: NewConnection,
        directory: StreamDirectory,
        gatekeeper: Gatekeeper,
        settings: Arc<RtmpSettings>,
    ) {
        if let Err(error) = new.socket.set_nodelay(true) {
            warn!(peer:% = new.peer, reason:% = error; "TCP_NODELAY could not be set");
        }
        let now = Instant::now();
        let connection = Self {
            read_flow: ReadFlow::Open,
            read_coalescing: ReadCoalescing::Each,
            session: Session::new(settings.session.clone()),
            next_event: None,
            role: Role::Negotiating { since: now },
            socket: ViewerSocket::new(new.socket, WireFormat::RtmpChunks, now.into_std()),
            last_received: now,
            received_bytes: 0,
            peer: new.peer,
            _permit: new.permit,
            settings,
            directory,
            gatekeeper,
        };
        connection.start();
    }

    /// Reads what the peer has sent. An error in it is the peer's, and inside.
    fn receive(&mut self, readiness: Readiness) -> io::Result<Result<(), SessionError>> {
        let (session, received_bytes) = (&mut self.session, &mut self.received_bytes);
        let is_closing = matches!(self.role, Role::Closing { .. });
        let fed = read_loop::receive(self.socket.socket(), readiness, |bytes| {
            *received_bytes += bytes.len() as u64;
            match bytes {
                [] => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                _ if is_closing => Ok(Ok(())),
                _ => Ok(session.feed(bytes)),
            }
        })??;
        self.last_received = Instant::now();
        Ok(fed)
    }

    fn take_effect(&mut self, fed: Result<(), SessionError>, ctx: &mut Context<Self>) {
        self.send_replies(ctx);
        match fed.err().map(|error| error.to_string()).or_else(|| self.unread_replies()) {
            None => self.proceed(ctx),
            Some(why) => self.close(&why, ctx),
        }
    }

    /// Goes on after something that the connection waited for.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.read_flow.resume();
        self.proceed(ctx);
    }

    /// Lets events take effect, up to one that has to be waited for.
    fn proceed(&mut self, ctx: &mut Context<Self>) {
        let mut frames = Vec::new();
        while self.read_flow.is_open() && !matches!(self.role, Role::Closing { .. }) {
            match self.next_event.take().or_else(|| self.session.poll_event()) {
                Some(Event::Frame(frame)) => frames.push(frame),
                event if !frames.is_empty() => {
                    self.next_event = event;
                    self.deliver(std::mem::take(&mut frames), ctx);
                }
                Some(Event::Publish(request)) => self.ask_to_publish(request, ctx),
                Some(Event::Play(request)) => self.ask_to_play(request, ctx),
                Some(Event::Unpublish) => self.leave_role("it unpublished"),
                Some(Event::Stop) => self.leave_role("it stopped playing"),
                None => return,
            }
        }
    }

    /// Hands frames to the stream. While it cannot follow, nothing more is read.
    fn deliver(&mut self, frames: Vec<Frame>, ctx: &mut Context<Self>) {
        let Role::Publishing(publishing) = &self.role else {
            return;
        };
        match publishing.publication.try_send(frames) {
            Ok(()) => {}
            Err(Refused::Gone) => self.evicted(Evicted::StreamGone, ctx),
            Err(Refused::Busy(frames)) => {
                self.read_flow.pause();
                let taken = publishing.publication.send(frames).into_actor(self);
                ctx.spawn(taken.map(|taken, connection, ctx| {
                    if let Err(evicted) = taken {
                        connection.evicted(evicted, ctx);
                    }
                    connection.go_on(ctx);
                }));
            }
        }
    }

    fn ask_to_publish(&mut self, request: StreamRequest, ctx: &mut Context<Self>) {
        self.read_flow.pause();
        let (applicant, events) = (self.applicant(request), ctx.address().recipient());
        let asked = async move { (applicant.publish(events).await, applicant.request) };
        ctx.spawn(asked.into_actor(self).map(|(answer, request), connection, ctx| match answer {
            Ok((publication, access)) => connection.begin_publish(request, publication, access, ctx),
            Err(error) => connection.refuse_publish(&request, &error, ctx),
        }));
    }

    fn applicant(&self, request: StreamRequest) -> Applicant {
        let (gatekeeper, directory) = (self.gatekeeper.clone(), self.directory.clone());
        Applicant { gatekeeper, directory, peer: self.peer, request }
    }

    fn begin_publish(
        &mut self,
        request: StreamRequest,
        publication: Publication,
        access: Option<AccessSession>,
        ctx: &mut Context<Self>,
    ) {
        if let Role::Closing { .. } = self.role {
            return self.read_flow.resume();
        }
        info!(room = request.room.as_str(), peer:% = self.peer; "publisher came");
        let (since, bytes_before) = (Instant::now(), self.received_bytes);
        self.role = Role::Publishing(Publishing {
            room: request.room,
            publication,
            access,
            since,
            bytes_before,
            pinged: false,
        });
        self.last_received = since;
        self.confirm(ctx);
        self.session.accept();
        self.send_replies(ctx);
        self.go_on(ctx);
    }

    /// Asks whether the room is still this connection's: it may have been told otherwise before it knew that it was.
    fn confirm(&self, ctx: &mut Context<Self>) {
        let Role::Publishing(publishing) = &self.role else { return };
        let confirmed = publishing.publication.send(Vec::new()).into_actor(self);
        ctx.spawn(confirmed.map(|confirmed, connection, ctx| {
            if let Err(evicted) = confirmed {
                connection.evicted(evicted, ctx);
            }
        }));
    }

    fn refuse_publish(
        &mut self,
        request: &StreamRequest,
        error: &NotAdmitted<PublishError>,
        ctx: &mut Context<Self>,
    ) {
        if let NotAdmitted::Room(error) = error {
            warn!(room = request.room.as_str(), peer:% = self.peer, why:% = error; "publish refused");
        }
        self.session.refuse(&error.to_rtmp());
        self.linger(ctx);
        self.read_flow.resume();
    }

    fn ask_to_play(&mut self, request: StreamRequest, ctx: &mut Context<Self>) {
        self.read_flow.pause();
        let applicant = self.applicant(request);
        let asked = async move { (applicant.play().await, applicant.request) };
        ctx.spawn(asked.into_actor(self).map(move |(found, request), connection, ctx| match found {
            Ok((stream, access)) => connection.begin_play(stream, access, ctx),
            Err(error) => connection.refuse_play(&request, &error, ctx),
        }));
    }

    fn begin_play(&mut self, stream: StreamHandle, access: Option<AccessSession>, ctx: &mut Context<Self>) {
        if let Role::Closing { .. } = self.role {
            return self.read_flow.resume();
        }
        info!(room = stream.room().as_str(), peer:% = self.peer, protocol = "rtmp"; "viewer came");
        self.session.accept();
        self.send_replies(ctx);
        let playing = Playing::new(stream, access);
        playing.join(ctx.address().recipient());
        self.role = Role::Playing(playing);
        self.go_on(ctx);
    }

    fn refuse_play(
        &mut self,
        request: &StreamRequest,
        error: &NotAdmitted<OpenError>,
        ctx: &mut Context<Self>,
    ) {
        if let NotAdmitted::Room(error) = error {
            info!(room = request.room.as_str(), peer:% = self.peer, why:% = error; "play refused");
        }
        self.session.refuse(&error.to_rtmp());
        self.linger(ctx);
        self.read_flow.resume();
    }

    fn media(&mut self, batches: &Batches, after_gap: bool, ctx: &mut Context<Self>) {
        if after_gap {
            self.socket.miss();
        }
        let sent = self.socket.send(batches, &self.settings.lag, Instant::now().into_std());
        self.after_write(sent, ctx);
    }

    fn send_replies(&mut self, ctx: &mut Context<Self>) {
        let output = self.session.take_output();
        if !output.is_empty() {
            let sent = self.socket.send_control(output, Instant::now().into_std());
            self.after_write(sent, ctx);
        }
    }

    fn after_write(&mut self, sent: io::Result<()>, ctx: &mut Context<Self>) {
        if let Err(error) = sent {
            return self.peer_gone(&error, ctx);
        }
        if self.socket.is_empty() {
            return self.finish_sending();
        }
        self.socket.notify_writable(|| {
            let address = ctx.address();
            move || address.do_send(Writable)
        });
    }

    /// The last reply is out: the peer sees the end, and has [`LINGER`] to close its side.
    fn finish_sending(&self) {
        if let Role::Closing { .. } = self.role {
            // A peer that is gone already needs no goodbye.
            let _ = socket2::SockRef::from(self.socket.socket()).shutdown(std::net::Shutdown::Write);
        }
    }

    fn evicted(&mut self, evicted: Evicted, ctx: &mut Context<Self>) {
        if let Role::Publishing(_) = self.role {
            self.publish_ended(&evicted.to_string(), ctx);
        }
    }

    fn publish_ended(&mut self, why: &str, ctx: &mut Context<Self>) {
        self.leave_role(why);
        self.session.end_publish(why);
        self.linger(ctx);
    }

    fn stream_ended(&mut self, why: &str, ctx: &mut Context<Self>) {
        self.leave_role(why);
        self.session.end_play(why);
        self.linger(ctx);
    }

    /// Sends what is left to be said. The peer's side stays open for [`LINGER`]; what is read there is thrown away.
    fn linger(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.role, Role::Closing { .. }) {
            self.role = Role::Closing { since: Instant::now() };
        }
        self.send_replies(ctx);
        if self.socket.is_empty() {
            self.finish_sending();
        }
    }

    /// Ends the connection because of what the peer did or did not do.
    fn close(&mut self, why: &str, ctx: &mut Context<Self>) {
        if let Role::Negotiating { .. } = self.role {
            info!(peer:% = self.peer, why = why; "RTMP connection closed");
        }
        self.leave_role(why);
        self.linger(ctx);
    }

    fn peer_gone(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.leave_role("it closed the connection"),
            _ => self.leave_role(&error.to_string()),
        }
        debug!(peer:% = self.peer, reason:% = error; "RTMP connection gone");
        ctx.stop();
    }

    /// Stops publishing or playing, and says so in the log.
    fn leave_role(&mut self, why: &str) {
        let left = std::mem::replace(&mut self.role, Role::Negotiating { since: Instant::now() });
        self.read_coalescing.announce_each(self.socket.socket());
        match left {
            Role::Publishing(publishing) => publishing.leave(why, self.peer, self.received_bytes),
            Role::Playing(playing) => playing.log_leave(why, self.peer, &self.socket),
            Role::Negotiating { .. } | Role::Closing { .. } => self.role = left,
        }
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        match &self.role {
            Role::Closing { since } if now - *since >= LINGER => return ctx.stop(),
            Role::Closing { .. } => return,
            // It ended, or broke, while the player joined.
            Role::Playing(playing) if !playing.is_stream_alive() => {
                return self.stream_ended(&EndReason::PublisherLeft.to_string(), ctx);
            }
            _ => {}
        }
        match (self.role.cut(), &self.role) {
            (Some(cut), Role::Publishing(_)) => return self.publish_ended(&cut.to_string(), ctx),
            (Some(cut), _) => return self.stream_ended(&cut.to_string(), ctx),
            (None, _) => {}
        }
        match self.overdue(now) {
            Some(why) => self.close(&why, ctx),
            None => self.ping_if_silent(now, ctx),
        }
    }

    /// Why the connection has to go, if it has to.
    fn overdue(&self, now: Instant) -> Option<String> {
        let settings = &self.settings;
        let (publisher_timeout, stall_max) = (settings.publisher_timeout, settings.lag.stall_max);
        match &self.role {
            Role::Negotiating { since } => too_slow(self.session.phase(), now - *since, settings),
            Role::Publishing(_) if now - self.last_received >= publisher_timeout => {
                Some(format!("silent for {} s", publisher_timeout.as_secs()))
            }
            Role::Playing(_) if self.socket.is_stalled(&settings.lag, now.into_std()) => {
                Some(format!("it took nothing for {} s", stall_max.as_secs()))
            }
            _ => None,
        }
    }

    /// Why the connection has to go if more replies wait for it than may.
    fn unread_replies(&self) -> Option<String> {
        let is_over =
            !matches!(self.role, Role::Closing { .. }) && self.socket.control_bytes() > CONTROL_MAX_BYTES;
        is_over.then(|| "it does not read its replies".to_owned())
    }

    fn ping_if_silent(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Role::Publishing(publishing) = &mut self.role else {
            return;
        };
        if publishing.is_ping_due(now - self.last_received, self.settings.publisher_timeout) {
            self.session.ping((now - publishing.since).as_millis() as u32);
            self.send_replies(ctx);
        }
    }
}

fn too_slow(phase: Phase, waited: Duration, settings: &RtmpSettings) -> Option<String> {
    match phase {
        Phase::Handshake if waited >= settings.handshake_timeout => {
            Some(format!("no handshake within {} s", settings.handshake_timeout.as_secs()))
        }
        // The answer to a pending request is ours to give.
        Phase::PublishPending | Phase::PlayPending => None,
        _ if waited >= settings.idle_timeout => {
            Some(format!("neither publish nor play within {} s", settings.idle_timeout.as_secs()))
        }
        _ => None,
    }
}

impl Actor for RtmpConnectionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        let of_publisher = self.settings.publisher_timeout / CHECKS_PER_PUBLISHER_TIMEOUT;
        ctx.run_interval(CHECK_INTERVAL.min(of_publisher), |connection, ctx| connection.check(ctx));
        ctx.spawn(ReadLoop);
    }
}

impl Handler<StreamEvent> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        if !matches!(self.role, Role::Playing(_)) {
            return;
        }
        match event {
            StreamEvent::Media { batches, after_gap } => self.media(&batches, after_gap, ctx),
            StreamEvent::Join { point, .. } => {
                let sent = self.socket.join(&point, Instant::now().into_std());
                self.after_write(sent, ctx);
            }
            StreamEvent::PublisherCame(_) | StreamEvent::PublisherLeft => {}
            StreamEvent::End(reason) => self.stream_ended(&reason.to_string(), ctx),
        }
    }
}

impl Handler<Writable> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Writable, ctx: &mut Self::Context) {
        let sent = self.socket.resume(Instant::now().into_std());
        self.after_write(sent, ctx);
    }
}

impl Handler<PublisherEvent> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, notice: PublisherEvent, ctx: &mut Self::Context) {
        match notice {
            PublisherEvent::Evicted(evicted) => self.evicted(evicted, ctx),
            PublisherEvent::Watched => self.read_coalescing.announce_each(self.socket.socket()),
            PublisherEvent::Unwatched => self.read_coalescing.coalesce(self.socket.socket()),
        }
    }
}
