//! The HTTP ports; that of HLS is in [`hls`].
//!
//! On the other one, live FLV goes past the web framework, from the stream's actor to the socket; the framework answers
//! everything else: the page to watch on (`page`) and the API ([`api`]).
//!
//! The two share the port: the head of each request is read here. A viewer of a live room, or a node that pulls it, is
//! admitted to the [`ViewerPool`], for good; for any other request the connection is lent to the framework, with what was
//! read put back in front. A request for live media may come behind others.

mod accept_encoding;
pub mod api;
mod connection_gate;
pub mod flv;
pub mod health;
pub mod hls;
mod page;
mod path;
mod refusal;
mod reply;
mod request_head;
mod rewind;
mod web;
mod websocket;
mod write_timeout;

use std::{error::Error, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use bytes::BytesMut;
use log::{debug, info};
use synctv_actors::{
    connection_limit::{ConnectionLimit, ConnectionPermit},
    directory::{OpenError, Phase, StreamDirectory},
    flv::viewers::{NewViewer, PoolEntry, ViewerKind, ViewerPool},
    stream::StreamHandle,
};
use synctv_media::stream::room::RoomName;
use tokio::net::TcpStream;

use self::{
    api::Api,
    connection_gate::{Arrival, ConnectionGate, refuse_over_limit},
    health::Health,
    path::Target,
    refusal::{HttpRefusal, refuse},
    request_head::{HeadError, Method, Request, RequestHead},
    rewind::Rewind,
    websocket::Upgrade,
    write_timeout::WriteTimeout,
};

/// What the HTTP port needs to know.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `/APP/ROOM.flv` is `/ROOM.flv`.
    pub app: String,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Duration,
}

/// How long the head of a request may take when there is no room for it, if it is a probe after all.
const PROBE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may wait for its next request. Balancers keep theirs for 60 s, and a server that closes first
/// closes upon a request now and then.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// What the framework made of a connection.
trait Framework:
    Service<(WriteTimeout<Rewind>, Option<SocketAddr>), Response = (), Error = actix_http::error::DispatchError>
{
}

impl<F> Framework for F where
    F: Service<
            (WriteTimeout<Rewind>, Option<SocketAddr>),
            Response = (),
            Error = actix_http::error::DispatchError,
        >
{
}

/// A connection that was let in.
struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
}

/// What serves the port's connections, on each worker thread.
pub fn service(
    directory: StreamDirectory,
    api: Arc<Api>,
    health: Health,
    settings: HttpSettings,
    viewer_pool: ViewerPool,
    permits: ConnectionLimit,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("httpflv", permits);
    fn_factory(move || {
        let port = Port {
            pool_entry: viewer_pool.open_entry(),
            directory: directory.clone(),
            settings: settings.clone(),
            gate: gate.clone(),
        };
        worker(port, api.clone(), health.clone())
    })
}

/// One thread's share of the port.
struct Port {
    pool_entry: PoolEntry,
    directory: StreamDirectory,
    settings: HttpSettings,
    gate: ConnectionGate,
}

async fn worker(
    port: Port,
    api: Arc<Api>,
    health: Health,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let framework = web::service(&port.settings, api, health).await?;
    let (port, framework) = (Rc::new(port), Rc::new(framework));
    Ok(fn_service(move |socket| {
        let (port, framework) = (port.clone(), framework.clone());
        async move {
            match port.gate.look_at(socket) {
                Some(Arrival::In(permit, socket, peer)) => {
                    port.serve(Connection { socket, peer, permit }, &*framework).await;
                }
                Some(Arrival::Over(turn, socket, peer)) => {
                    port.probe(Connection { socket, peer, permit: turn }, &*framework).await;
                }
                None => {}
            }
            Ok(())
        }
    }))
}

impl Port {
    /// Over the limit of connections, a probe for life is answered nevertheless: who restarts what is dead would restart
    /// what is full.
    async fn probe(&self, mut connection: Connection, framework: &impl Framework) {
        let reading = RequestHead::read(&mut connection.socket, BytesMut::new());
        let Ok(Ok(head)) = tokio::time::timeout(PROBE_HEAD_TIMEOUT, reading).await else {
            return refuse_over_limit(connection.socket).await;
        };
        let path = head.request().map_or("", |request| &request.path);
        if path::parse(path, "", &self.settings.app) != Some(Target::Alive) {
            return refuse_over_limit(connection.socket).await;
        }
        let Connection { socket, peer, permit: _turn } = connection;
        self.hand_over(Rewind::of_last(head.into_last(), socket), peer, framework).await;
    }

    /// Serves a connection's requests, one after the other, up to one for live media or the last.
    async fn serve(&self, mut connection: Connection, framework: &impl Framework) {
        let mut read = BytesMut::new();
        let mut is_first = true;
        loop {
            let head = match self.read_head(&mut connection, std::mem::take(&mut read), is_first).await {
                Ok(head) => head,
                Err(error) => return no_request(connection, &error).await,
            };
            let Some((head, rest)) = self.serve_live(head, connection).await else { return };
            match self.lend(head, rest, framework).await {
                Some((rest, behind)) => (connection, read) = (rest, behind),
                None => return,
            }
            is_first = false;
        }
    }

    async fn read_head(
        &self,
        connection: &mut Connection,
        read: BytesMut,
        is_first: bool,
    ) -> Result<RequestHead, HeadError> {
        if !is_first && read.is_empty() {
            tokio::time::timeout(IDLE_TIMEOUT, connection.socket.readable())
                .await
                .map_err(io::Error::from)??;
        }
        let reading = RequestHead::read(&mut connection.socket, read);
        tokio::time::timeout(self.settings.head_timeout, reading).await.map_err(io::Error::from)?
    }

    /// Serves a request for a live room to the connection's end, and gives any other back for the framework.
    async fn serve_live(
        &self,
        head: RequestHead,
        connection: Connection,
    ) -> Option<(RequestHead, Connection)> {
        let Some((request, room)) = self.live_request(&head) else { return Some((head, connection)) };
        let found = self.find(request, room.clone()).await;
        if let Err(OpenError::NotLive(_)) = found {
            return Some((head, connection));
        }
        let Connection { socket, peer, permit } = connection;
        match (found, &request.upgrade) {
            (Ok(_), Upgrade::OtherVersion) => refuse(socket, websocket::OTHER_VERSION).await,
            (Ok(_), Upgrade::NoKey) => refuse(socket, websocket::NO_KEY).await,
            (Ok(Some(stream)), _) => {
                let (head, kind, format) =
                    (flv::response_head(request), viewer_kind(request), flv::format(request));
                self.pool_entry.admit(&stream, NewViewer { socket, peer, head, permit, kind, format });
            }
            (Ok(None), _) => flv::send_and_close(&socket, &flv::response_head(request)),
            (Err(error), _) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                info!(room = room.as_str(), peer:% = peer, why:% = error, reason = reason.as_str();
                    "viewer refused");
                refuse(socket, HttpRefusal::unavailable(error_code(&error), &error.to_string())).await;
            }
        }
        None
    }

    /// Has the framework answer a request. Gives the connection back, with what was read behind the request, if another
    /// one may follow: not on a node that stops, which would wait for it.
    async fn lend(
        &self,
        head: RequestHead,
        connection: Connection,
        framework: &impl Framework,
    ) -> Option<(Connection, BytesMut)> {
        let Connection { socket, peer, permit } = connection;
        let is_persistent = head.request().is_some_and(|request| request.is_persistent);
        if !is_persistent || self.directory.phase().await != Some(Phase::Open) {
            self.hand_over(Rewind::of_last(head.into_last(), socket), peer, framework).await;
            return None;
        }
        let (head, behind) = head.split();
        let (rewind, returned) = Rewind::of_request(head, socket);
        if !self.hand_over(rewind, peer, framework).await {
            return None;
        }
        Some((Connection { socket: returned.take()?, peer, permit }, behind))
    }

    /// Whether the framework answered.
    async fn hand_over(&self, rewind: Rewind, peer: SocketAddr, framework: &impl Framework) -> bool {
        let socket = WriteTimeout::new(rewind, self.settings.stall_timeout);
        let answered = framework.call((socket, Some(peer))).await;
        answered.inspect_err(|error| debug!(peer:% = peer, reason:% = error; "HTTP connection ended")).is_ok()
    }

    /// What a request for a room's media asks for.
    fn live_request<'h>(&self, head: &'h RequestHead) -> Option<(&'h Request, RoomName)> {
        let request = head.request().filter(|request| request.method != Method::Other)?;
        let room = flv::room(&request.path, &self.settings.app)?.ok()?;
        Some((request, room))
    }

    /// The stream to watch; none for a request that asks only whether there is one.
    async fn find(&self, request: &Request, room: RoomName) -> Result<Option<StreamHandle>, OpenError> {
        match (viewer_kind(request), request.method) {
            (ViewerKind::Viewer, Method::Get) => self.directory.open(room).await.map(Some),
            // Nobody will watch what would be pulled.
            (ViewerKind::Viewer, _) => self.directory.look(room).await.map(|()| None),
            // It would be pulled from one node after the other, and in the end from itself.
            (ViewerKind::Node, method) => {
                let found = self.directory.open_local(room.clone()).await.ok_or(OpenError::NotLive(room))?;
                Ok((method == Method::Get).then_some(found))
            }
        }
    }
}

/// A connection ends without a request that can be served.
async fn no_request(connection: Connection, error: &HeadError) {
    debug!(peer:% = connection.peer, reason:% = error; "no HTTP request came");
    if let HeadError::TooLarge = error {
        let refusal = HttpRefusal {
            status: "431 Request Header Fields Too Large",
            headers: "",
            code: "head_too_large",
            message: &error.to_string(),
        };
        refuse(connection.socket, refusal).await;
    }
}

fn viewer_kind(request: &Request) -> ViewerKind {
    if request.is_pull { ViewerKind::Node } else { ViewerKind::Viewer }
}

fn error_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotLive(_) => "room_not_live",
        OpenError::Registry(_) => "registry_unavailable",
        OpenError::OriginSilent { .. } => "origin_unreachable",
        OpenError::RoomLimit { .. } => "too_many_rooms",
        OpenError::Draining => "draining",
    }
}
