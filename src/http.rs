//! The HTTP ports; that of HLS is in [`hls`].
//!
//! On the other one, live FLV goes past the web framework, from the stream's actor to the socket; the framework answers
//! everything else: the page to watch on (`page`) and the API ([`api`]).
//!
//! The two share the port: the head of a connection's first request is read here. A viewer of a live room, or a node
//! that pulls it, is admitted to the [`ViewerPool`]; any other connection is handed on, with what was read put back in
//! front. The framework keeps no connection alive, so that every request is the first of its connection.

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
mod write_timeout;

use std::{error::Error, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use log::{debug, info};
use synctv_actors::{
    connection_limit::{ConnectionLimit, ConnectionPermit},
    directory::{OpenError, StreamDirectory},
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
    refusal::refuse,
    request_head::{Method, Request, RequestHead},
    rewind::Rewind,
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

/// A connection that the framework serves, and what counts it.
type ForFramework = (ConnectionPermit, Rewind<TcpStream>, SocketAddr);

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
            Arrival::In(permit, socket, peer) => self.serve(permit, socket, peer).await,
            Arrival::Over(turn, socket, peer) => self.probe(turn, socket, peer).await,
        }
    }

    /// Over the limit of connections, a probe for life is answered nevertheless: who restarts what is dead would restart
    /// what is full.
    async fn probe(
        &self,
        turn: ConnectionPermit,
        mut socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<ForFramework> {
        let head = tokio::time::timeout(PROBE_HEAD_TIMEOUT, RequestHead::read(&mut socket)).await;
        let Ok(Ok(head)) = head else {
            refuse_over_limit(socket).await;
            return None;
        };
        let path = head.request().map_or("", |request| &request.path);
        if path::parse(path, "", &self.settings.app) != Some(Target::Alive) {
            refuse_over_limit(socket).await;
            return None;
        }
        Some((turn, Rewind::new(head.into_bytes(), socket), peer))
    }

    async fn serve(
        &self,
        permit: ConnectionPermit,
        mut socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<ForFramework> {
        let head = match self.read_head(&mut socket).await {
            Ok(head) => head,
            Err(error) => {
                debug!(peer:% = peer, reason:% = error; "no HTTP request came");
                return None;
            }
        };
        let Some((request, room)) = self.live_request(&head) else {
            return Some((permit, Rewind::new(head.into_bytes(), socket), peer));
        };
        match self.find(request, room.clone()).await {
            Ok(Some(stream)) => {
                let (head, kind) = (flv::response_head(), viewer_kind(request));
                self.pool_entry.admit(&stream, NewViewer { socket, peer, head, permit, kind });
                None
            }
            Ok(None) => {
                flv::send_and_close(&socket, &flv::response_head());
                None
            }
            Err(OpenError::NotLive(_)) => Some((permit, Rewind::new(head.into_bytes(), socket), peer)),
            Err(error) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                info!(room = room.as_str(), peer:% = peer, why:% = error, reason = reason.as_str();
                    "viewer refused");
                refuse(socket, error_code(&error), &error.to_string()).await;
                None
            }
        }
    }

    async fn read_head(&self, socket: &mut TcpStream) -> io::Result<RequestHead> {
        tokio::time::timeout(self.settings.head_timeout, RequestHead::read(socket)).await?
    }

    /// What a request for a room's media asks for.
    fn live_request<'h>(&self, head: &'h RequestHead) -> Option<(&'h Request, RoomName)> {
        let request = head.request()?;
        let room = flv::room(&request.path, &self.settings.app)?.ok()?;
        Some((request, room))
    }

    /// The stream to watch; none for a request that asks only whether there is one.
    async fn find(&self, request: &Request, room: RoomName) -> Result<Option<StreamHandle>, OpenError> {
        match (viewer_kind(request), request.method) {
            (ViewerKind::Viewer, Method::Get) => self.directory.open(room).await.map(Some),
            // Nobody will watch what would be pulled.
            (ViewerKind::Viewer, Method::RequestHead) => self.directory.look(room).await.map(|()| None),
            // It would be pulled from one node after the other, and in the end from itself.
            (ViewerKind::Node, method) => {
                let found = self.directory.open_local(room.clone()).await?.ok_or(OpenError::NotLive(room))?;
                Ok((method == Method::Get).then_some(found))
            }
        }
    }
}

/// Reads a request's head, and finds what its path is for.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_head(data: &[u8]) {
    if let Some(Some(request)) = head::parse(data) {
        fuzz_paths(&request.path);
    }
}

/// Finds what a path is for, on both ports, and names it as the host of a page.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_paths(text: &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    path::parse(path, query, "live");
    let policy = page::policy::of(Some(text), Some(1), page::policy::Frames::None);
    assert!(!policy.contains('\n') && policy.matches(';').count() == 8, "{policy}");
    if let Ok(asset) = hls::target::parse(path, "live") {
        assert_eq!(asset.path("live"), path);
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
        OpenError::Directory(_) => "directory_ended",
    }
}
