//! The HTTP ports; that of HLS is in [`hls`].
//!
//! On the other one, live FLV goes past the web framework, from the stream's actor to the socket; the framework answers
//! everything else: the page to watch on (`page`) and the API ([`api`]).
//!
//! The two share the port: the head of each request is read here. A viewer of a live room, or a node that pulls it, is
//! admitted to the [`ViewerPool`], for good; for any other request the connection is lent to the framework, with what was
//! read put back in front. A request for live media may come behind others.

mod absent_body;
mod admin;
pub mod api;
mod api_error;
mod compressed;
mod conditional;
mod connection_gate;
mod cors;
mod credentials;
pub mod flv;
pub mod health;
pub mod hls;
mod live;
mod message;
mod page;
mod path;
mod proxies;
mod range;
mod refusal;
mod request_head;
mod request_view;
mod response;
mod rewind;
mod settings;
mod web;
mod websocket;
pub mod whep;
mod write_timeout;

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use bytes::BytesMut;
use log::debug;
use synctv_actors::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    directory::{OpenError, StreamDirectory},
    viewers::{NewViewer, PoolEntry, ViewerKind, ViewerPool},
    wire::Wire,
};
use synctv_media::stream::room::RoomName;
use tokio::{net::TcpStream, time::Instant};

pub(crate) use self::connection_gate::{Arrival, Connection, ConnectionGate};
use self::{
    api::{Api, ServerInfo},
    api_error::ApiError,
    connection_gate::refuse_over_limit,
    health::Health,
    hls::{HlsThreads, HlsWorker},
    live::{NotServed, log_viewer_refused},
    path::{Readable, Target},
    refusal::refuse,
    request_head::{HeadError, Method, Request, RequestHead},
    rewind::Rewind,
    settings::IDLE_TIMEOUT,
    websocket::Upgrade,
    whep::Whep,
    write_timeout::WriteTimeout,
};
pub use self::{proxies::TrustedProxies, settings::HttpSettings};
use crate::tls::TlsOnPlainPort;

/// Time limit for the head of a request over the connection limit, which may be a probe's.
const PROBE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// The framework's result for a connection.
pub(crate) trait Framework:
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

/// The parts that serve an HTTP port.
#[derive(Clone)]
pub(crate) struct HttpSources {
    /// Finds streams.
    pub directory: StreamDirectory,
    /// Answers the API.
    pub api: Arc<Api>,
    /// The addresses that the API names.
    pub info: ServerInfo,
    /// Answers probes.
    pub health: Health,
    /// Limits of time, and the app.
    pub settings: HttpSettings,
    /// Serves live FLV.
    pub viewer_pool: ViewerPool,
    /// Serves HLS, on a port that has that too: that of TLS, and the plain one behind a trusted proxy.
    pub hls: Option<HlsThreads>,
    /// Answers WebRTC players, unless WebRTC is off.
    pub whep: Option<Whep>,
}

/// Returns the service of the port's connections, for each worker thread. `tls` knows connections that belong to
/// another port.
pub(crate) fn service(
    sources: HttpSources,
    permits: ConnectionLimit,
    tls: TlsOnPlainPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("httpflv", permits);
    fn_factory(move || plain_worker(sources.clone(), gate.clone(), tls.clone()))
}

async fn plain_worker(
    sources: HttpSources,
    gate: ConnectionGate,
    tls: TlsOnPlainPort,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let worker = Rc::new(worker(sources).await?);
    Ok(fn_service(move |socket| {
        let (worker, gate, tls) = (worker.clone(), gate.clone(), tls.clone());
        async move {
            match gate.look_at(socket) {
                Some(Arrival::In(permit, wire, peer)) => {
                    let connection = Connection { wire, peer, permit };
                    worker.serve(connection, |first| tls.note(Some(first), peer)).await;
                }
                Some(Arrival::Over(turn, wire, peer)) => {
                    worker.probe(Connection { wire, peer, permit: turn }).await;
                }
                None => {}
            }
            Ok(())
        }
    }))
}

/// Makes what serves HTTP connections on the current thread.
pub(crate) async fn worker(sources: HttpSources) -> Result<HttpWorker<impl Framework>, ()> {
    let HttpSources { directory, api, info, health, settings, viewer_pool, hls, whep } = sources;
    let gatekeeper = api.gatekeeper().clone();
    let framework = web::service(&settings, web::Site::new(&settings, api, info, health, whep)).await?;
    let port = Port { pool_entry: viewer_pool.open_entry(), directory, gatekeeper, settings, hls };
    Ok(HttpWorker { port, framework })
}

/// Serves HTTP connections on one thread.
pub(crate) struct HttpWorker<F> {
    port: Port,
    framework: F,
}

impl<F: Framework> HttpWorker<F> {
    /// Serves a connection to its end. One that `is_foreign` by its first byte is closed.
    pub async fn serve(&self, connection: Connection, is_foreign: impl Fn(u8) -> bool) {
        self.port.serve(connection, &self.framework, is_foreign).await;
    }

    /// Answers a connection over the limit.
    pub async fn probe(&self, connection: Connection) {
        self.port.probe(connection, &self.framework).await;
    }
}

/// One thread's share of a port.
struct Port {
    pool_entry: PoolEntry,
    directory: StreamDirectory,
    gatekeeper: Gatekeeper,
    settings: HttpSettings,
    hls: Option<HlsThreads>,
}

impl Port {
    /// Serves a connection over the limit: only a liveness probe is answered, because a supervisor would otherwise restart a
    /// node that is merely full.
    async fn probe(&self, mut connection: Connection, framework: &impl Framework) {
        let reading = RequestHead::read(&mut connection.wire, BytesMut::new());
        let Ok(Ok(head)) = tokio::time::timeout(PROBE_HEAD_TIMEOUT, reading).await else {
            return refuse_over_limit(connection.wire).await;
        };
        let path = head.request().map_or("", |request| &request.path);
        if path::parse(path, "", &self.settings.app) != Some(Target::Readable(Readable::Alive)) {
            return refuse_over_limit(connection.wire).await;
        }
        let Connection { wire, peer, permit: _turn } = connection;
        self.hand_over(Rewind::of_last(head.into_last(), wire), peer, framework).await;
    }

    /// Serves a connection's requests, one after the other, up to one for live media or the last.
    async fn serve(
        &self,
        mut connection: Connection,
        framework: &impl Framework,
        is_foreign: impl Fn(u8) -> bool,
    ) {
        if self.directory.is_restoring() {
            self.directory.wait_until_restored().await;
        }
        let mut read = BytesMut::new();
        let (mut is_first, mut given_back) = (true, None);
        loop {
            let head = match given_back.take() {
                Some(head) => Ok(head),
                None => self.read_head(&mut connection, std::mem::take(&mut read), is_first).await,
            };
            let head = match head {
                Ok(head) => head,
                Err(error) => return no_request(connection, &error).await,
            };
            if head.first_byte_of_nonsense().is_some_and(&is_foreign) {
                return;
            }
            let Some((head, rest)) = self.serve_live(head, connection).await else { return };
            is_first = false;
            if let Some(hls) = self.hls_of(&head) {
                let Some((next, rest)) = serve_hls(hls, head, rest).await else { return };
                (connection, given_back) = (rest, Some(next));
                continue;
            }
            match self.lend(head, rest, framework).await {
                Some((rest, behind)) => (connection, read) = (rest, behind),
                None => return,
            }
        }
    }

    /// HLS, if the port has it and a request is for it.
    fn hls_of(&self, head: &RequestHead) -> Option<&HlsThreads> {
        let request = head.request()?;
        self.hls.as_ref().filter(|hls| hls.has(&request.path))
    }

    async fn read_head(
        &self,
        connection: &mut Connection,
        read: BytesMut,
        is_first: bool,
    ) -> Result<RequestHead, HeadError> {
        if !is_first && read.is_empty() {
            self.wait_for_next(&connection.wire).await?;
        }
        let reading = RequestHead::read(&mut connection.wire, read);
        tokio::time::timeout(self.settings.head_timeout, reading).await.map_err(io::Error::from)?
    }

    /// Waits for a further request, unless the node drains: players would send theirs over connections that wait, past the
    /// balancer, and be refused.
    async fn wait_for_next(&self, wire: &Wire) -> io::Result<()> {
        tokio::select! {
            biased;
            came = tokio::time::timeout(IDLE_TIMEOUT, wire.readable()) => came?,
            () = self.directory.wait_for_closing() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Serves a request for a live room to the connection's end, and gives any other back for the framework.
    async fn serve_live(
        &self,
        head: RequestHead,
        connection: Connection,
    ) -> Option<(RequestHead, Connection)> {
        let Some((request, room)) = self.live_request(&head) else { return Some((head, connection)) };
        let asked = Instant::now();
        let client = self.settings.proxies.client(connection.peer, request.forwarded_for.as_deref());
        let found = live::find(&self.directory, &self.gatekeeper, request, &room, client).await;
        let protocol = viewer_kind(request).protocol(flv::format(request));
        if let Err(error) = &found {
            self.directory.metrics().joins.get((protocol, error.outcome())).inc();
        }
        if let Err(NotServed::Room(OpenError::NotLive(_))) = found {
            return Some((head, connection));
        }
        let Connection { mut wire, permit, .. } = connection;
        match (found, &request.upgrade) {
            (Ok(_), Upgrade::OtherVersion) => refuse(wire, &ApiError::websocket_version()).await,
            (Ok(_), Upgrade::NoKey) => refuse(wire, &websocket::no_key()).await,
            (Ok(Some((stream, access))), _) => {
                let (head, kind, format) =
                    (flv::response_head(request), viewer_kind(request), flv::format(request));
                let wants_notice = flv::wants_notice(request);
                let viewer =
                    NewViewer { wire, peer: client, head, permit, kind, wants_notice, format, access, asked };
                self.pool_entry.admit(&stream, viewer);
            }
            (Ok(None), _) => flv::send_and_close(&mut wire, &flv::response_head(request)),
            (Err(NotServed::Access(refusal)), _) => refuse(wire, &refusal.into()).await,
            (Err(NotServed::Room(error)), _) => {
                log_viewer_refused(&room, client, protocol, &error);
                refuse(wire, &error.into()).await;
            }
        }
        None
    }

    /// Has the framework answer a request. Gives the connection back, with what was read behind the request, if another
    /// one may follow: not on a node that drains, as the next one belongs on another node.
    async fn lend(
        &self,
        head: RequestHead,
        connection: Connection,
        framework: &impl Framework,
    ) -> Option<(Connection, BytesMut)> {
        let Connection { wire, peer, permit } = connection;
        let is_persistent = head.request().is_some_and(|request| request.is_persistent);
        if !is_persistent || self.directory.is_closing_connections() {
            self.hand_over(Rewind::of_last(head.into_last(), wire), peer, framework).await;
            return None;
        }
        let (head, behind) = head.split();
        let (rewind, returned) = Rewind::of_request(head, wire);
        if !self.hand_over(rewind, peer, framework).await {
            return None;
        }
        Some((Connection { wire: returned.take()?, peer, permit }, behind))
    }

    /// `true` if the framework answered.
    async fn hand_over(&self, rewind: Rewind, peer: SocketAddr, framework: &impl Framework) -> bool {
        let socket = WriteTimeout::new(rewind, self.settings.stall_timeout);
        let answered = framework.call((socket, Some(peer))).await;
        answered.inspect_err(|error| debug!(peer:% = peer, reason:% = error; "HTTP connection ended")).is_ok()
    }

    /// The media that a request asks for.
    fn live_request<'h>(&self, head: &'h RequestHead) -> Option<(&'h Request, RoomName)> {
        let request = head.request().filter(|request| request.method != Method::Other)?;
        let room = flv::room(&request.path, &self.settings.app)?.ok()?;
        Some((request, room))
    }
}

/// Lends a connection to a thread of HLS, up to the next request that is not for HLS.
async fn serve_hls(
    hls: &HlsThreads,
    head: RequestHead,
    connection: Connection,
) -> Option<(RequestHead, Connection)> {
    let serve =
        |worker: Rc<HlsWorker>, connection| async move { worker.serve_hls_only(head, connection).await };
    let (next, Connection { wire, peer, permit }) = hls.run(connection, serve).await??;
    let wire = wire
        .into_current_thread()
        .inspect_err(|error| debug!(peer:% = peer, reason:% = error; "HTTP connection ended"));
    Some((next, Connection { wire: wire.ok()?, peer, permit }))
}

/// A connection ends without a request that can be served.
async fn no_request(connection: Connection, error: &HeadError) {
    debug!(peer:% = connection.peer, reason:% = error; "no HTTP request received");
    match error {
        HeadError::TooLarge => refuse(connection.wire, &ApiError::head_too_large(error.to_string())).await,
        HeadError::Host => {
            refuse(connection.wire, &ApiError::bad_request("bad_request", error.to_string())).await
        }
        HeadError::Io(_) => {}
    }
}

/// Answers HTTP that came to a TLS port without TLS: which address was meant. It may take `patience` to be read.
pub(crate) async fn refuse_plain(mut wire: Wire, patience: Duration) {
    let reading = RequestHead::read(&mut wire, BytesMut::new());
    let head = match tokio::time::timeout(patience, reading).await {
        Ok(Ok(head)) => Some(head),
        Ok(Err(HeadError::Host)) => None,
        _ => return,
    };
    let host = head.as_ref().and_then(RequestHead::request).map_or("", |request| &request.host);
    refuse(wire, &ApiError::tls_required(host)).await;
}

/// Reads a request's head, and finds what its path is for.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_head(data: &[u8]) {
    if let request_head::Parsed::Request(request) = request_head::parse(data) {
        fuzz_paths(&request.path);
    }
}

/// Finds what a path is for, on both ports, and names it as the host of a page.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_paths(text: &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    path::parse(path, query, "live");
    let policy = page::policy::of(&page::policy::HlsOrigin::Port(1), page::policy::Frames::None);
    assert!(!policy.contains('\n') && policy.matches(';').count() == 8, "{policy}");
    if let Ok(resource) = hls::target::parse(path, "live") {
        let again = hls::target::parse(&resource.path("live"), "live");
        assert!(again.is_ok_and(|again| again == resource), "{path}");
    }
}

fn viewer_kind(request: &Request) -> ViewerKind {
    if request.pull.is_some() { ViewerKind::Node } else { ViewerKind::Viewer }
}
