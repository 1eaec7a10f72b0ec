//! The UDP port of all WebRTC viewers: reads their datagrams, answers their offers, makes their handshakes, and
//! starts the actors that serve connected viewers.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, ResponseActFuture,
    SpawnHandle, WrapFuture, fut,
};
use log::{debug, error};
use synctv_media::{
    stream::room::RoomName,
    webrtc::{
        audio::rate::OpusRate,
        packetizer::MediaProfile,
        peer::{Peer, PeerSettings, WallClock, is_check},
    },
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    batch_sender::BatchSender,
    joining::{JoiningViewer, Places},
    joins::{FoundPlace, Joins, Turn},
    link::ViewerLink,
    messages::{
        Admit, AdmitConnection, CloseSession, ConnectionClosed, Datagrams, EndSession, FindSession,
        FromConnection, GetProfile, NewViewer, SessionEnded, StopIfIdle, ViewersIdle, Watch, WatchError,
        Watching,
    },
    rooms::{RoomKey, Rooms},
    routes::Routes,
    session_id::SessionId,
    settings::{WebRtcSettings, log_addresses},
    socket::{Datagram, WebRtcSocket},
    tcp_port::{ConnectionPort, accept_on},
    viewers::{Port, WebRtcViewersActor},
};
use crate::{
    clock::since_1970,
    connection_limit::{ConnectionLimit, ConnectionPermit},
    stream::StreamHandle,
    thread::ActorThread,
    viewer_session::LeaveReason,
};

/// Time that a viewer's request waits for the stream's first media.
const MEDIA_WAIT: Duration = Duration::from_secs(5);

/// Interval at which the addresses in answers are looked up.
const ADDRESSES_INTERVAL: Duration = Duration::from_secs(60);

/// Interval at which parts of handshakes are sent again, while there are any.
const JOINS_INTERVAL: Duration = Duration::from_millis(10);

/// Interval of the check for sessions whose actor ended in a panic.
const ORPHANS_INTERVAL: Duration = Duration::from_secs(10);

/// The pause after a failed read.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// The actor, on a thread of its own.
pub(super) struct WebRtcPortActor {
    settings: WebRtcSettings,
    socket: WebRtcSocket,
    /// Until connections are accepted.
    listener: Option<TcpListener>,
    peers: Arc<PeerSettings>,
    viewers: ConnectionLimit,
    joining: ConnectionLimit,
    routes: Routes,
    joins: Joins,
    /// The timer of joins, while there are any.
    ticks: Option<SpawnHandle>,
    /// Of viewers that have connected.
    sessions: HashMap<SessionId, Session>,
    rooms: Rooms,
}

struct Session {
    room: RoomName,
    viewers: Addr<WebRtcViewersActor>,
    actor: RoomKey,
}

/// The datagrams of one read that are for one room's viewers.
type OfRoom = (Addr<WebRtcViewersActor>, Vec<(SessionId, Datagram)>);

#[derive(Message)]
#[rtype(result = "()")]
struct Received(Vec<Datagram>);

impl WebRtcPortActor {
    /// Starts it. The addresses are looked up first, so that there is no answer without them.
    pub fn start(settings: WebRtcSettings, socket: WebRtcSocket, listener: TcpListener) -> Addr<Self> {
        let port = Self::new(settings, socket, listener);
        Self::start_in_arbiter(&Arbiter::new().handle(), move |_| port)
    }

    fn new(settings: WebRtcSettings, socket: WebRtcSocket, listener: TcpListener) -> Self {
        let udp = settings.hosts.addresses(socket.bound());
        let clock = WallClock { at: now(), since_1970: since_1970() };
        let peers =
            Arc::new(PeerSettings { tcp: udp.clone(), udp, rtx_packets: settings.rtx_packets, clock });
        log_addresses(&peers);
        let joins = Joins::new(BatchSender::new(socket.clone()));
        Self {
            viewers: ConnectionLimit::new(settings.viewers_max),
            joining: ConnectionLimit::new(settings.joining_max),
            settings,
            socket,
            listener: Some(listener),
            peers,
            routes: Routes::default(),
            joins,
            ticks: None,
            sessions: HashMap::new(),
            rooms: Rooms::default(),
        }
    }

    fn read_on(&self, ctx: &mut Context<Self>) {
        let (socket, address) = (self.socket.clone(), ctx.address());
        let reading = async move {
            let mut reader = match socket.reader() {
                Ok(reader) => reader,
                Err(reason) => return error!(reason:% = reason; "WebRTC datagrams cannot be read"),
            };
            loop {
                match reader.read().await {
                    // The next ones wait in the kernel until these were passed on.
                    Ok(datagrams) => drop(address.send(Received(datagrams)).await),
                    Err(reason) => {
                        debug!(reason:% = reason; "a read of WebRTC datagrams failed");
                        tokio::time::sleep(READ_PAUSE).await;
                    }
                }
            }
        };
        ctx.spawn(reading.into_actor(self));
    }

    fn accept_connections(&mut self, ctx: &mut Context<Self>) {
        let Some(listener) = self.listener.take() else { return };
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let (admit, packets) = (ctx.address().recipient(), ctx.address().recipient());
                let port = ConnectionPort { admit, packets, closed: ctx.address().recipient() };
                ctx.spawn(accept_on(listener, port).into_actor(self));
            }
            Err(reason) => error!(reason:% = reason; "TCP connections of WebRTC viewers cannot be accepted"),
        }
    }

    /// Addresses change when leases end, and names when they are moved.
    fn look_up_addresses(&mut self, ctx: &mut Context<Self>) {
        let (hosts, bound) = (self.settings.hosts.clone(), self.socket.bound());
        let found = tokio::task::spawn_blocking(move || hosts.addresses(bound));
        ctx.spawn(found.into_actor(self).map(|found, port, _| match found {
            Ok(udp) if !udp.is_empty() && udp != port.peers.udp => {
                port.peers = Arc::new(PeerSettings { tcp: udp.clone(), udp, ..*port.peers });
                log_addresses(&port.peers);
            }
            _ => {}
        }));
    }

    /// Finds a place among the viewers that join: a free one, or that of a join that may be ended for it.
    fn find_place(
        &mut self,
        newcomer: SocketAddr,
        now: std::time::Instant,
    ) -> Result<FoundPlace, WatchError> {
        if let Some(place) = self.joining.take() {
            return Ok(FoundPlace::Free(place));
        }
        let displaced = self.joins.displaceable(newcomer, now);
        let (id, reason) = displaced.ok_or(WatchError::TooManyJoining { max: self.settings.joining_max })?;
        Ok(FoundPlace::Taken(id, reason))
    }

    /// Takes a place, and ends the join that has it.
    fn take_place(
        &mut self,
        found: FoundPlace,
        now: std::time::Instant,
    ) -> Result<ConnectionPermit, WatchError> {
        match found {
            FoundPlace::Free(place) => Ok(place),
            FoundPlace::Taken(id, reason) => {
                self.joins.end(id, &reason, &self.peers.udp, now);
                self.routes.remove(id);
                self.joining.take().ok_or(WatchError::TooManyJoining { max: self.settings.joining_max })
            }
        }
    }

    /// Starts the viewers of a stream on a thread.
    fn starter(
        &self,
        stream: &StreamHandle,
        ctx: &Context<Self>,
    ) -> impl FnOnce(&ActorThread) -> Addr<WebRtcViewersActor> + use<> {
        let port = Port { ended: ctx.address().recipient(), idle: ctx.address().recipient() };
        let (stream, socket, rate) =
            (stream.clone(), self.socket.clone(), OpusRate(self.settings.audio_kbps));
        move |thread| WebRtcViewersActor::start(&stream, thread, socket, port, rate)
    }

    /// Answers an offer, once the stream's codecs are known: only a viewer with an answer has a place among those that join.
    fn answer(
        &mut self,
        stream: StreamHandle,
        viewer: NewViewer,
        place: ConnectionPermit,
        profile: MediaProfile,
        ctx: &mut Context<Self>,
    ) -> Result<Watching, WatchError> {
        let (id, now) = (SessionId::random().ok_or(WatchError::Stopped)?, now());
        // Before the answer, which costs more; an offer that cannot be answered ends no other join.
        let found = self.find_place(viewer.peer, now)?;
        let (peer, answer) = Peer::answer(&viewer.offer, profile, &self.peers, now)?;
        let places = Places { viewer: place, _joining: self.take_place(found, now)? };
        self.routes.add(id, peer.check_key().clone());
        let (link, NewViewer { peer: address, access, .. }) = (ViewerLink::new(peer), viewer);
        self.joins.add(JoiningViewer { id, profile, link, address, access, places, since: now }, stream);
        if self.ticks.is_none() {
            self.ticks = Some(ctx.run_interval(JOINS_INTERVAL, Self::tick));
        }
        Ok(Watching { id, answer })
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let (peers, mut turns) = (self.peers.clone(), Vec::new());
        self.joins.tick(&peers.udp, now(), |id, turn| turns.push((id, turn)));
        turns.into_iter().for_each(|(id, turn)| self.turned(id, turn, ctx));
        if self.joins.is_empty()
            && let Some(ticks) = self.ticks.take()
        {
            ctx.cancel_future(ticks);
        }
    }

    /// Hands a viewer that has connected to the actor that serves it, and forgets one that has left.
    fn turned(&mut self, id: SessionId, turn: Turn, ctx: &Context<Self>) {
        match turn {
            Turn::Joining => {}
            Turn::Left => self.routes.remove(id),
            Turn::Connected(join) => {
                let start = self.starter(&join.stream, ctx);
                let (actor, viewers) = self.rooms.admit(&join.stream, start);
                let room = join.stream.room().clone();
                viewers.do_send(Admit(Box::new(join.viewer)));
                self.sessions.insert(id, Session { room, viewers, actor });
            }
        }
    }

    /// Takes a datagram of a viewer that joins. `false` if it is none of those.
    fn receive_joining(&mut self, id: SessionId, datagram: &Datagram, ctx: &Context<Self>) -> bool {
        let peers = self.peers.clone();
        let turn = self.joins.receive(id, datagram, &peers.udp, now());
        turn.map(|turn| self.turned(id, turn, ctx)).is_some()
    }

    fn remove(&mut self, id: SessionId) {
        self.routes.remove(id);
        if let Some(session) = self.sessions.remove(&id) {
            self.rooms.leave(session.actor);
        }
    }

    /// Removes sessions of actors that ended in a panic, without a word of their viewers.
    fn remove_orphans(&mut self) {
        let is_orphan = |(id, session): (&SessionId, &Session)| (!session.viewers.connected()).then_some(*id);
        let orphans: Vec<_> = self.sessions.iter().filter_map(is_orphan).collect();
        orphans.into_iter().for_each(|id| self.remove(id));
    }

    fn session(&self, room: &RoomName, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).filter(|session| session.room == *room)
    }

    fn route(&mut self, datagram: &Datagram) -> Option<SessionId> {
        if is_check(&datagram.bytes) {
            return self.routes.of_check(&datagram.bytes, datagram.remote);
        }
        self.routes.of_remote(datagram.remote)
    }
}

/// The runtime's clock, which tests can pause.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for WebRtcPortActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.read_on(ctx);
        self.accept_connections(ctx);
        ctx.run_interval(ADDRESSES_INTERVAL, Self::look_up_addresses);
        ctx.run_interval(ORPHANS_INTERVAL, |port, _| port.remove_orphans());
    }
}

impl Handler<Watch> for WebRtcPortActor {
    type Result = ResponseActFuture<Self, Result<Watching, WatchError>>;

    fn handle(&mut self, watch: Watch, ctx: &mut Self::Context) -> Self::Result {
        let Watch { stream, viewer, thread } = watch;
        let Some(place) = self.viewers.take() else {
            let refused = WatchError::TooManyViewers { max: self.settings.viewers_max };
            return Box::pin(fut::ready(Err(refused)));
        };
        self.rooms.add_thread(thread);
        let start = self.starter(&stream, ctx);
        let (answer, profile) = oneshot::channel();
        self.rooms.home(&stream, start).do_send(GetProfile(answer));
        let profile = async move {
            match timeout(MEDIA_WAIT, profile).await {
                Ok(Ok(profile)) => profile,
                Ok(Err(_)) => Err(WatchError::Ended),
                Err(_) => Err(WatchError::NoMedia),
            }
        };
        Box::pin(profile.into_actor(self).map(move |profile, port, ctx| {
            profile.and_then(|profile| port.answer(stream, viewer, place, profile, ctx))
        }))
    }
}

impl Handler<FindSession> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, FindSession { room, id }: FindSession, _: &mut Self::Context) -> bool {
        self.session(&room, id).is_some() || self.joins.has(&room, id)
    }
}

impl Handler<EndSession> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, EndSession { room, id }: EndSession, _: &mut Self::Context) -> bool {
        if self.joins.has(&room, id) {
            self.joins.end(id, &LeaveReason::Stopped, &self.peers.udp, now());
            self.routes.remove(id);
            return true;
        }
        let session = self.session(&room, id);
        session.inspect(|session| session.viewers.do_send(CloseSession(id))).is_some()
    }
}

impl Handler<SessionEnded> for WebRtcPortActor {
    type Result = ();

    fn handle(&mut self, SessionEnded(id): SessionEnded, _: &mut Self::Context) {
        self.remove(id);
    }
}

impl Handler<ViewersIdle> for WebRtcPortActor {
    type Result = ();

    /// `StopIfIdle` comes behind all requests that were sent to the actor before, so that it answers them first.
    fn handle(&mut self, idle: ViewersIdle, _: &mut Self::Context) {
        let ViewersIdle { stream, thread, viewers } = idle;
        if self.rooms.remove_idle((stream, thread)) {
            viewers.do_send(StopIfIdle);
        }
    }
}

impl Handler<AdmitConnection> for WebRtcPortActor {
    type Result = Option<SessionId>;

    fn handle(&mut self, AdmitConnection { first }: AdmitConnection, _: &mut Self::Context) -> Self::Result {
        self.routes.admit_connection(&first)
    }
}

impl Handler<FromConnection> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, message: FromConnection, ctx: &mut Self::Context) -> bool {
        let FromConnection { id, datagram } = message;
        if self.receive_joining(id, &datagram, ctx) {
            return true;
        }
        let Some(session) = self.sessions.get(&id) else { return false };
        // As with datagrams.
        let _ = session.viewers.try_send(Datagrams(vec![(id, datagram)]));
        true
    }
}

impl Handler<ConnectionClosed> for WebRtcPortActor {
    type Result = ();

    fn handle(&mut self, ConnectionClosed(id): ConnectionClosed, _: &mut Self::Context) {
        self.routes.connection_closed(id);
    }
}

impl Handler<Received> for WebRtcPortActor {
    type Result = ();

    fn handle(&mut self, Received(datagrams): Received, ctx: &mut Self::Context) {
        let mut by_room: Vec<OfRoom> = Vec::new();
        for datagram in datagrams {
            let Some(id) = self.route(&datagram) else { continue };
            if self.receive_joining(id, &datagram, ctx) {
                continue;
            }
            let Some(session) = self.sessions.get(&id) else { continue };
            match by_room.iter_mut().find(|(viewers, _)| *viewers == session.viewers) {
                Some((_, datagrams)) => datagrams.push((id, datagram)),
                None => by_room.push((session.viewers.clone(), vec![(id, datagram)])),
            }
        }
        for (viewers, datagrams) in by_room {
            // A thread that is behind loses datagrams, as a network does: what matters is sent again.
            let _ = viewers.try_send(Datagrams(datagrams));
        }
    }
}

#[cfg(test)]
mod tests;
