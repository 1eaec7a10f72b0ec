//! The UDP port of all WebRTC viewers: reads their datagrams, knows their sessions, and starts the actors that serve them.

use std::{
    collections::HashMap,
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, ResponseActFuture,
    WrapFuture, fut,
};
use log::{debug, error, info, warn};
use synctv_media::{
    stream::room::RoomName,
    webrtc::{
        audio::rate::OpusRate,
        peer::{PeerSettings, WallClock, is_check, ufrag},
    },
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    messages::{
        Accepted, Admit, AdmitConnection, CloseSession, ConnectionClosed, Datagrams, EndSession, FindSession,
        FromConnection, Places, SessionEnded, StopIfIdle, ViewersIdle, Watch, WatchError, Watching,
    },
    routes::Routes,
    session_id::SessionId,
    settings::WebRtcSettings,
    socket::{Datagram, WebRtcSocket},
    tcp_port::{ConnectionPort, accept_on},
    viewers::{Port, WebRtcViewersActor},
};
use crate::{clock::since_1970, connection_limit::ConnectionLimit, events::StreamId, stream::StreamHandle};

/// Time that a viewer's request waits for the stream's first media.
const MEDIA_WAIT: Duration = Duration::from_secs(5);

/// Interval at which the addresses in answers are looked up.
const ADDRESSES_INTERVAL: Duration = Duration::from_secs(60);

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
    sessions: HashMap<SessionId, Session>,
    rooms: HashMap<StreamId, Addr<WebRtcViewersActor>>,
}

struct Session {
    room: RoomName,
    viewers: Addr<WebRtcViewersActor>,
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
        let clock = WallClock { at: tokio::time::Instant::now().into_std(), since_1970: since_1970() };
        let peers =
            Arc::new(PeerSettings { tcp: udp.clone(), udp, rtx_packets: settings.rtx_packets, clock });
        log_addresses(&peers);
        Self {
            viewers: ConnectionLimit::new(settings.viewers_max),
            joining: ConnectionLimit::new(settings.joining_max),
            settings,
            socket,
            listener: Some(listener),
            peers,
            routes: Routes::default(),
            sessions: HashMap::new(),
            rooms: HashMap::new(),
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

    fn places(&self) -> Result<Places, WatchError> {
        let _viewer =
            self.viewers.take().ok_or(WatchError::TooManyViewers { max: self.settings.viewers_max })?;
        let joining =
            self.joining.take().ok_or(WatchError::TooManyJoining { max: self.settings.joining_max })?;
        Ok(Places { _viewer, joining: Some(joining) })
    }

    fn room(&mut self, stream: &StreamHandle, ctx: &Context<Self>) -> Addr<WebRtcViewersActor> {
        self.rooms.retain(|_, viewers| viewers.connected());
        let port = Port { ended: ctx.address().recipient(), idle: ctx.address().recipient() };
        let rate = OpusRate(self.settings.audio_kbps);
        let start = || WebRtcViewersActor::start(stream, self.socket.clone(), port, rate);
        self.rooms.entry(stream.id()).or_insert_with(start).clone()
    }

    /// Takes the answer to an offer. The session may have ended before it came.
    fn admitted(
        &mut self,
        id: SessionId,
        accepted: Result<Accepted, WatchError>,
    ) -> Result<Watching, WatchError> {
        let Accepted { ufrag, answer } = accepted.inspect_err(|_| self.remove(id))?;
        if !self.sessions.contains_key(&id) {
            return Err(WatchError::Ended);
        }
        self.routes.add(id, ufrag);
        Ok(Watching { id, answer })
    }

    fn remove(&mut self, id: SessionId) {
        self.routes.remove(id);
        self.sessions.remove(&id);
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
            return self.routes.of_check(&ufrag(&datagram.bytes)?, datagram.remote);
        }
        self.routes.of_remote(datagram.remote)
    }
}

fn log_addresses(peers: &PeerSettings) {
    info!(addresses:? = peers.udp; "WebRTC addresses");
    if peers.udp.is_empty() {
        warn!("no viewer can connect over WebRTC: this host has no address, set RTC_HOSTS");
    } else if peers.udp.iter().all(|address| is_private(address.ip())) {
        warn!(addresses:? = peers.udp; "WebRTC offers private addresses only: set RTC_HOSTS to those that viewers reach");
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
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

    fn handle(&mut self, Watch { stream, viewer }: Watch, ctx: &mut Self::Context) -> Self::Result {
        let refused = |error| Box::pin(fut::ready(Err(error)));
        let places = match self.places() {
            Ok(places) => places,
            Err(error) => return refused(error),
        };
        let Some(id) = SessionId::random() else { return refused(WatchError::Stopped) };
        let (answer, answered) = oneshot::channel();
        let viewers = self.room(&stream, ctx);
        viewers.do_send(Admit { id, viewer, places, settings: self.peers.clone(), answer });
        // Before the answer: the viewer may have left again when it comes.
        self.sessions.insert(id, Session { room: stream.room().clone(), viewers });
        let answered = async move {
            match timeout(MEDIA_WAIT, answered).await {
                Ok(Ok(accepted)) => accepted,
                Ok(Err(_)) => Err(WatchError::Ended),
                Err(_) => Err(WatchError::NoMedia),
            }
        };
        Box::pin(answered.into_actor(self).map(move |accepted, port, _| port.admitted(id, accepted)))
    }
}

impl Handler<FindSession> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, FindSession { room, id }: FindSession, _: &mut Self::Context) -> bool {
        self.session(&room, id).is_some()
    }
}

impl Handler<EndSession> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, EndSession { room, id }: EndSession, _: &mut Self::Context) -> bool {
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

    /// A viewer who was sent there before is there when the actor looks whether it may stop.
    fn handle(&mut self, ViewersIdle { stream, viewers }: ViewersIdle, _: &mut Self::Context) {
        if self.rooms.get(&stream).is_some_and(|known| known.clone().recipient() == viewers) {
            self.rooms.remove(&stream);
        }
        viewers.do_send(StopIfIdle);
    }
}

impl Handler<AdmitConnection> for WebRtcPortActor {
    type Result = Option<SessionId>;

    fn handle(&mut self, AdmitConnection { ufrag }: AdmitConnection, _: &mut Self::Context) -> Self::Result {
        self.routes.admit_connection(&ufrag)
    }
}

impl Handler<FromConnection> for WebRtcPortActor {
    type Result = bool;

    fn handle(&mut self, FromConnection { id, datagram }: FromConnection, _: &mut Self::Context) -> bool {
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

    fn handle(&mut self, Received(datagrams): Received, _: &mut Self::Context) {
        let mut by_room: Vec<OfRoom> = Vec::new();
        for datagram in datagrams {
            let Some(id) = self.route(&datagram) else { continue };
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
