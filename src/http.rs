//! The HTTP ports; that of HLS is in [`hls`].
//!
//! On the other one, live FLV goes past the web framework, from the stream's actor to the socket; the framework answers
//! everything else: the page to watch on (`page`) and the API ([`api`]).
//!
//! The two share the port: the head of a connection's first request is read here. A viewer of a live room, or a node
//! that pulls it, is admitted to the [`ViewerPool`]; any other connection is handed on, with what was read put back in
//! front. The framework keeps no connection alive, so that every request is the first of its connection.

mod accept_encoding;
mod admin;
pub mod api;
mod connection_gate;
mod credentials;
pub mod flv;
pub mod health;
pub mod hls;
mod page;
mod path;
mod refusal;
mod reply;
mod request_head;
mod rewind;
mod settings;
mod web;
mod write_timeout;

use std::{error::Error, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use log::{debug, info};
use synctv_actors::{
    access::{AccessRequest, Gatekeeper, Protocol, Session as AccessSession},
    connection_limit::{ConnectionLimit, ConnectionPermit},
    directory::{OpenError, StreamDirectory},
    flv::{NewViewer, PoolEntry, ViewerKind, ViewerPool},
    stream::StreamHandle,
    wire::Wire,
};
use synctv_media::{
    access::{Confidential, NodeRequest, Refusal},
    stream::room::RoomName,
};
use tokio::net::TcpStream;

pub use self::settings::HttpSettings;
use self::{
    api::Api,
    connection_gate::{Arrival, ConnectionGate, refuse_over_limit},
    health::Health,
    path::Target,
    refusal::{refuse, refuse_access},
    request_head::{Method, Request, RequestHead},
    rewind::Rewind,
    write_timeout::WriteTimeout,
};

/// How long the head of a request may take when there is no room for it, if it is a probe after all.
const PROBE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that the framework serves, and what counts it.
type ForFramework = (ConnectionPermit, Rewind<Wire>, SocketAddr);

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
            gatekeeper: api.gatekeeper().clone(),
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
    gatekeeper: Gatekeeper,
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
            if let Some((permit, socket, peer)) = port.receive(socket).await {
                let socket = WriteTimeout::new(socket, port.settings.stall_timeout);
                if let Err(error) = framework.call((socket, Some(peer))).await {
                    debug!(peer:% = peer, reason:% = error; "HTTP connection ended");
                }
                drop(permit);
            }
            Ok(())
        }
    }))
}

impl Port {
    /// Serves a connection that asks for a live room, and gives any other back for the framework.
    async fn receive(&self, socket: TcpStream) -> Option<ForFramework> {
        match self.gate.look_at(socket)? {
            Arrival::In(permit, wire, peer) => self.serve(permit, wire, peer).await,
            Arrival::Over(turn, wire, peer) => self.probe(turn, wire, peer).await,
        }
    }

    /// Over the limit of connections, a probe for life is answered nevertheless: who restarts what is dead would restart
    /// what is full.
    async fn probe(&self, turn: ConnectionPermit, mut wire: Wire, peer: SocketAddr) -> Option<ForFramework> {
        let head = tokio::time::timeout(PROBE_HEAD_TIMEOUT, RequestHead::read(&mut wire)).await;
        let Ok(Ok(head)) = head else {
            refuse_over_limit(wire).await;
            return None;
        };
        let path = head.request().map_or("", |request| &request.path);
        if path::parse(path, "", &self.settings.app) != Some(Target::Alive) {
            refuse_over_limit(wire).await;
            return None;
        }
        Some((turn, Rewind::new(head.into_bytes(), wire), peer))
    }

    async fn serve(
        &self,
        permit: ConnectionPermit,
        mut wire: Wire,
        peer: SocketAddr,
    ) -> Option<ForFramework> {
        let head = match self.read_head(&mut wire).await {
            Ok(head) => head,
            Err(error) => {
                debug!(peer:% = peer, reason:% = error; "no HTTP request came");
                return None;
            }
        };
        let Some((request, room)) = self.live_request(&head) else {
            return Some((permit, Rewind::new(head.into_bytes(), wire), peer));
        };
        match self.find(request, &room, peer).await {
            Ok(Some((stream, access))) => {
                let (head, kind) = (flv::response_head(), viewer_kind(request));
                self.pool_entry.admit(&stream, NewViewer { wire, peer, head, permit, kind, access });
                None
            }
            Ok(None) => {
                flv::send_and_close(&mut wire, &flv::response_head());
                None
            }
            Err(NotServed::Access(refusal)) => {
                refuse_access(wire, &refusal).await;
                None
            }
            Err(NotServed::Room(OpenError::NotLive(_))) => {
                Some((permit, Rewind::new(head.into_bytes(), wire), peer))
            }
            Err(NotServed::Room(error)) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                info!(room = room.as_str(), peer:% = peer, why:% = error, reason = reason.as_str();
                    "viewer refused");
                refuse(wire, error_code(&error), &error.to_string()).await;
                None
            }
        }
    }

    async fn read_head(&self, wire: &mut Wire) -> io::Result<RequestHead> {
        tokio::time::timeout(self.settings.head_timeout, RequestHead::read(wire)).await?
    }

    /// What a request for a room's media asks for.
    fn live_request<'h>(&self, head: &'h RequestHead) -> Option<(&'h Request, RoomName)> {
        let request = head.request()?;
        let room = flv::room(&request.path, &self.settings.app)?.ok()?;
        Some((request, room))
    }

    /// The stream to watch, with what may cut the viewer; none for a request that asks only whether there is one.
    async fn find(
        &self,
        request: &Request,
        room: &RoomName,
        peer: SocketAddr,
    ) -> Result<Option<(StreamHandle, Option<AccessSession>)>, NotServed> {
        if let Some(signature) = &request.pull {
            return self.find_local(request, room, peer, signature.expose()).await;
        }
        let access = AccessRequest::http(
            Protocol::HttpFlv,
            peer,
            room,
            request.query.expose(),
            request.authorization.as_ref().map(Confidential::expose),
            request.user_agent.as_deref(),
        );
        let grant = self.gatekeeper.admit_viewer(&access).await.map_err(NotServed::Access)?;
        match request.method {
            Method::Get => {
                let stream = self.directory.open(&grant).await.map_err(NotServed::Room)?;
                Ok(Some((stream, grant.begin())))
            }
            // Nobody will watch what would be pulled.
            Method::RequestHead => self.directory.look(&grant).await.map(|()| None).map_err(NotServed::Room),
        }
    }

    /// The stream for another node. It would be pulled from one node after the other, and in the end from itself, if it
    /// were not published here.
    async fn find_local(
        &self,
        request: &Request,
        room: &RoomName,
        peer: SocketAddr,
        signature: &str,
    ) -> Result<Option<(StreamHandle, Option<AccessSession>)>, NotServed> {
        let method = match request.method {
            Method::Get => "GET",
            Method::RequestHead => "HEAD",
        };
        let signed = NodeRequest { method, host: &request.host, path: &request.path };
        let admitted = self.gatekeeper.admit_node(room, &signed, signature, peer);
        let grant = admitted.map_err(NotServed::Access)?;
        let found = self.directory.open_local(&grant).await.map_err(|ended| NotServed::Room(ended.into()))?;
        let found = found.ok_or_else(|| NotServed::Room(OpenError::NotLive(room.clone())))?;
        Ok((request.method == Method::Get).then_some((found, None)))
    }
}

/// Why a request for a room's media is not served.
enum NotServed {
    /// The client may not. The gatekeeper has logged it.
    Access(Refusal),
    /// There is nothing to serve.
    Room(OpenError),
}

fn viewer_kind(request: &Request) -> ViewerKind {
    if request.pull.is_some() { ViewerKind::Node } else { ViewerKind::Viewer }
}

fn error_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotLive(_) => "room_not_live",
        OpenError::Registry(_) => "registry_unavailable",
        OpenError::OriginSilent { .. } => "origin_unreachable",
        OpenError::RoomLimit { .. } => "too_many_rooms",
        OpenError::Draining => "draining",
        OpenError::Directory(_) => "directory_ended",
    }
}
