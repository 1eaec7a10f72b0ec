//! One RTMP connection: it negotiates, then publishes a room or plays one.

mod admission;
mod applicant;
mod play;
mod read_coalescing;
mod read_loop;
mod role;
mod round_trip;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use log::{debug, info, warn};
use synctv_media::{
    rtmp::{
        handshake::HandshakeError,
        session::{Event, Phase, ReconnectHabit, Session, SessionConfig, SessionError, StreamRequest},
    },
    stream::{batch::Batches, frame::Frame, viewer_queue::LagLimits, wire_format::WireFormat},
};
use tokio::time::Instant;

pub use self::admission::Admission;
use self::{
    applicant::{Applicant, NotAdmitted},
    read_coalescing::{ReadCoalescing, Readiness},
    read_loop::{ReadFlow, ReadLoop, ReadSide},
    role::{Publishing, Role},
    round_trip::RoundTrip,
};
use crate::{
    access::{Gatekeeper, Session as AccessSession},
    directory::StreamDirectory,
    events::{EndReason, Evicted, PublisherEvent, Relocation, StreamEvent},
    stream::{Publication, PublishError, Refused},
    subscription::Subscription,
    viewer_session::LeaveReason,
    viewer_socket::ViewerSocket,
    wire::Wire,
};

/// Maximum bytes queued for a peer that asks for answers and does not read them.
const CONTROL_MAX_BYTES: usize = 256 * 1024;

/// Time that a refused connection stays open: the peer reads the reason before the reset.
const LINGER: Duration = Duration::from_secs(2);

/// Interval at which time limits are checked, unless one is shorter.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A publisher that falls silent is looked at this often until it counts as gone: to be pinged, and to answer.
const CHECKS_PER_PUBLISHER_TIMEOUT: u32 = 4;

/// Round trips from the close of a publisher's connection to its next publish: TCP, the handshake, connect, createStream,
/// publish, and half a one at each end.
const ROUND_TRIPS_TO_PUBLISH: u32 = 6;

/// A longer round trip is a peer that paused in its handshake.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);

/// Settings that all RTMP connections share.
#[derive(Debug, Clone)]
pub struct RtmpSettings {
    /// The protocol's own settings.
    pub session: Arc<SessionConfig>,
    /// For players.
    pub lag: Arc<LagLimits>,
    /// Time limit for a handshake.
    pub handshake_timeout: Duration,
    /// Time limit for a connection that neither publishes nor plays.
    pub idle_timeout: Duration,
    /// Time limit for a silent publisher. It is pinged halfway.
    pub publisher_timeout: Duration,
    /// Where TLS is spoken, for the log of a client that mistook this port for it.
    pub tls_elsewhere: String,
}

/// A connection that was just accepted.
#[derive(Debug)]
pub struct NewConnection {
    /// The connection itself.
    pub wire: Wire,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Counts it for as long as it lasts.
    pub admission: Admission,
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
    round_trip: RoundTrip,
    admission: Admission,
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
        if let Err(error) = new.wire.set_nodelay() {
            warn!(peer:% = new.peer, reason:% = error; "TCP_NODELAY could not be set");
        }
        let now = Instant::now();
        let connection = Self {
            read_flow: ReadFlow::Open,
            read_coalescing: ReadCoalescing::Each,
            session: Session::new(settings.session.clone()),
            next_event: None,
            role: Role::Negotiating { since: now },
            socket: ViewerSocket::new(new.wire, WireFormat::RtmpChunks, now.into_std()),
            last_received: now,
            received_bytes: 0,
            round_trip: RoundTrip::Unasked,
            peer: new.peer,
            admission: new.admission,
            settings,
            directory,
            gatekeeper,
        };
        connection.start();
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
                Some(Event::Unpublish) => self.leave_role(&LeaveReason::Unpublished),
                Some(Event::Stop) => self.stop_play(ctx),
                Some(Event::Pause) => self.pause_play(ctx),
                Some(Event::Resume) => self.resume_play(ctx),
                Some(Event::Unreadable(error)) => {
                    warn!(peer:% = self.peer, why:% = error; "RTMP command ignored: it cannot be read");
                }
                None => return,
            }
        }
    }

    /// Hands frames to the stream. While it cannot follow, nothing more is read.
    fn deliver(&mut self, frames: Vec<Frame>, ctx: &mut Context<Self>) {
        let Role::Publishing(publishing) = &self.role else {
            return;
        };
        match publishing.publication.try_send(frames, self.last_received) {
            Ok(()) => {}
            Err(Refused::Gone) => self.evicted(Evicted::StreamGone, ctx),
            Err(Refused::Busy(frames)) => {
                self.read_flow.pause();
                self.directory.metrics().ingest_pauses.inc();
                let taken = publishing.publication.send_received(frames, self.last_received).into_actor(self);
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
        let relocation = self.relocation();
        let asked = async move { (applicant.publish(relocation, events).await, applicant.request) };
        ctx.spawn(asked.into_actor(self).map(|(answer, request), connection, ctx| match answer {
            Ok((publication, access)) => connection.begin_publish(request, publication, access, ctx),
            Err(error) => connection.refuse_publish(&request, &error, ctx),
        }));
    }

    /// Asks the peer to use another connection. Returns whether it takes such requests.
    fn request_reconnect(&mut self, ctx: &mut Context<Self>) -> bool {
        let takes_requests = self.session.request_reconnect("This node stops: use a new connection.");
        self.send_replies(ctx);
        takes_requests
    }

    /// How this publisher comes to publish elsewhere.
    fn relocation(&self) -> Relocation {
        let habit = self.session.reconnect_habit();
        if habit == ReconnectHabit::OnRequest {
            return Relocation::OnRequest;
        }
        let way = self.round_trip.duration().min(ROUND_TRIP_MAX) * ROUND_TRIPS_TO_PUBLISH;
        Relocation::AfterClose(Duration::from_millis(habit.pause_ms()) + way)
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
        info!(room = request.room.as_str(), peer:% = self.peer; "publisher connected");
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

    /// Asks whether the room is still this connection's: the notice of its loss may have come before that of its gain.
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

    fn media(&mut self, batches: &Batches, after_gap: bool, received: Instant, ctx: &mut Context<Self>) {
        if after_gap {
            self.socket.miss();
        }
        let sent = self.socket.send(batches, &self.settings.lag, Instant::now().into_std());
        if let Role::Playing(playing) = &mut self.role {
            playing.note_sent(&self.socket, received);
        }
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
            return self.peer_gone(error, ctx);
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
    fn finish_sending(&mut self) {
        if let Role::Closing { .. } = self.role {
            // A peer that is gone already needs no goodbye.
            let _ = self.socket.wire().shutdown_write();
        }
    }

    fn evicted(&mut self, evicted: Evicted, ctx: &mut Context<Self>) {
        if let Role::Publishing(_) = self.role {
            self.cut(&LeaveReason::Evicted(evicted), ctx);
        }
    }

    /// Ends what the connection does, for a reason that is not the peer's.
    fn cut(&mut self, reason: &LeaveReason, ctx: &mut Context<Self>) {
        let why = reason.to_string();
        self.leave_role(reason);
        self.session.end_publish(&why);
        self.session.end_play(&why);
        self.linger(ctx);
    }

    fn stream_ended(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        self.leave_role(&LeaveReason::Ended(reason));
        self.session.end_play(&reason.to_string());
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
    fn close(&mut self, reason: &LeaveReason, ctx: &mut Context<Self>) {
        if let Role::Negotiating { .. } = self.role {
            info!(peer:% = self.peer, why:% = reason; "RTMP connection closed");
        }
        self.leave_role(reason);
        self.linger(ctx);
    }

    /// Stops publishing or playing, and says so in the log.
    fn leave_role(&mut self, reason: &LeaveReason) {
        let left = std::mem::replace(&mut self.role, Role::Negotiating { since: Instant::now() });
        self.read_coalescing.announce_each(self.socket.wire());
        match left {
            Role::Publishing(publishing) => {
                self.directory.metrics().publisher_ends.get(reason.publisher_end()).inc();
                publishing.leave(reason, self.peer, self.received_bytes);
            }
            Role::Playing(playing) => playing.leave(reason, &self.socket),
            Role::Negotiating { .. } | Role::Closing { .. } => self.role = left,
        }
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        // If none is free now, it is asked again.
        let _ = self.admission.require_regular();
        if let Role::Playing(playing) = &mut self.role {
            playing.session.count(self.socket.delivered());
        }
        match &self.role {
            Role::Closing { since } if now - *since >= LINGER => return ctx.stop(),
            Role::Closing { .. } => return,
            // It ended, or broke, while the player joined.
            Role::Playing(playing) if !playing.is_stream_alive() => {
                return self.stream_ended(EndReason::PublisherLeft, ctx);
            }
            _ => {}
        }
        if let Some(cut) = self.role.cut() {
            return self.cut(&LeaveReason::Cut(cut), ctx);
        }
        match self.overdue(now) {
            Some(reason) => self.close(&reason, ctx),
            None => self.ping_if_silent(now, ctx),
        }
    }

    /// Why the connection has to go, if it has to.
    fn overdue(&self, now: Instant) -> Option<LeaveReason> {
        let settings = &self.settings;
        let (publisher_timeout, stall_max) = (settings.publisher_timeout, settings.lag.stall_max);
        match &self.role {
            Role::Negotiating { since } => too_slow(self.session.phase(), now - *since, settings),
            Role::Publishing(_) if now - self.last_received >= publisher_timeout => {
                Some(LeaveReason::Silent(publisher_timeout))
            }
            Role::Playing(_) if self.socket.is_stalled(&settings.lag, now.into_std()) => {
                Some(LeaveReason::Stalled(stall_max))
            }
            _ => None,
        }
    }

    fn describe(&self, error: &SessionError) -> String {
        match error {
            SessionError::Handshake(HandshakeError::Tls) => {
                format!("{error}; {}", self.settings.tls_elsewhere)
            }
            _ => error.to_string(),
        }
    }

    /// Why the connection has to go if more replies wait for it than may.
    fn unread_replies(&self) -> Option<LeaveReason> {
        let is_over =
            !matches!(self.role, Role::Closing { .. }) && self.socket.control_bytes() > CONTROL_MAX_BYTES;
        is_over.then(|| LeaveReason::Closed("replies are not read".to_owned()))
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

fn too_slow(phase: Phase, waited: Duration, settings: &RtmpSettings) -> Option<LeaveReason> {
    match phase {
        Phase::Handshake if waited >= settings.handshake_timeout => Some(LeaveReason::Closed(format!(
            "no handshake within {} s",
            settings.handshake_timeout.as_secs()
        ))),
        // The answer to a pending request is ours to give.
        Phase::PublishPending | Phase::PlayPending => None,
        _ if waited >= settings.idle_timeout => Some(LeaveReason::Closed(format!(
            "neither publish nor play within {} s",
            settings.idle_timeout.as_secs()
        ))),
        _ => None,
    }
}

impl ReadSide for RtmpConnectionActor {
    /// An error is the peer's violation of the protocol.
    type Received = Result<(), SessionError>;

    fn poll_readable(&mut self, task: &mut task::Context<'_>) -> Poll<io::Result<Readiness>> {
        task::ready!(self.read_flow.poll_open(task));
        self.read_coalescing.poll(self.socket.wire(), task)
    }

    /// Reads what the peer has sent. An error in it is the peer's, and inside.
    fn receive(&mut self, readiness: Readiness) -> io::Result<Self::Received> {
        let (session, received_bytes) = (&mut self.session, &mut self.received_bytes);
        let is_closing = matches!(self.role, Role::Closing { .. });
        let fed = read_loop::receive(self.socket.wire(), readiness, |bytes| {
            *received_bytes += bytes.len() as u64;
            match bytes {
                [] => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                _ if is_closing => Ok(Ok(())),
                _ => Ok(session.feed(bytes)),
            }
        })??;
        self.last_received = Instant::now();
        self.round_trip.note(self.session.phase(), self.received_bytes, self.last_received);
        Ok(fed)
    }

    fn take_effect(&mut self, fed: Self::Received, ctx: &mut Context<Self>) {
        self.send_replies(ctx);
        let violation = fed.err().map(|error| LeaveReason::Closed(self.describe(&error)));
        match violation.or_else(|| self.unread_replies()) {
            None => self.proceed(ctx),
            Some(reason) => self.close(&reason, ctx),
        }
    }

    fn peer_gone(&mut self, error: io::Error, ctx: &mut Context<Self>) {
        debug!(peer:% = self.peer, reason:% = error; "RTMP connection lost");
        self.leave_role(&LeaveReason::Disconnected(error));
        ctx.stop();
    }
}

impl Actor for RtmpConnectionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Subscription::prepare(ctx);
        let of_publisher = self.settings.publisher_timeout / CHECKS_PER_PUBLISHER_TIMEOUT;
        ctx.run_interval(CHECK_INTERVAL.min(of_publisher), |connection, ctx| connection.check(ctx));
        ctx.spawn(ReadLoop);
    }
}

impl Handler<StreamEvent> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        if !matches!(&self.role, Role::Playing(playing) if playing.is_subscribed()) {
            return;
        }
        match event {
            StreamEvent::Media { batches, after_gap, received } => {
                self.media(&batches, after_gap, received, ctx);
            }
            StreamEvent::Join { point, .. } => {
                let sent = self.socket.join(&point, Instant::now().into_std());
                if let Role::Playing(playing) = &mut self.role {
                    playing.session.awaits_media(self.socket.sent_bytes());
                }
                self.after_write(sent, ctx);
            }
            StreamEvent::PublisherCame(_) | StreamEvent::PublisherLeft => {}
            StreamEvent::LeaveWithin(window) => self.leave_within(window, ctx),
            StreamEvent::End(reason) => self.stream_ended(reason, ctx),
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
            PublisherEvent::Reconnect => {
                self.request_reconnect(ctx);
            }
            PublisherEvent::ViewersCame => self.read_coalescing.announce_each(self.socket.wire()),
            PublisherEvent::ViewersLeft => self.read_coalescing.coalesce(self.socket.wire()),
        }
    }
}
