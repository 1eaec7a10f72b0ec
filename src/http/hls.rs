//! The HLS port: playlists and segments, by the web framework.

mod admission;
mod args;
mod body;
mod forward;
mod playlist;
mod requests;
mod segment;
pub(super) mod target;
mod viewers;
mod window;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use actix_http::{ConnectionType, HttpService, KeepAlive, error::DispatchError};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::{Method, StatusCode},
    web,
};
use log::debug;
use synctv_actors::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    directory::{OpenError, StreamDirectory},
    hls::{
        HlsSessions,
        proxy::{HlsProxy, HlsResource},
    },
    metrics::{JoinOutcome, ViewerProtocol},
    wire::Wire,
};
use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};
use tokio::{net::TcpStream, time::timeout};

pub use self::args::{HlsArgs, HlsWhen};
use self::{
    admission::{Admitted, admit},
    forward::Elsewhere,
    requests::HlsRequestKind,
    target::TargetError,
};
pub use self::{requests::HlsRequests, viewers::HlsViewers};
use super::{
    api_error::ApiError,
    connection_gate::ConnectionGate,
    cors,
    settings::{HttpSettings, IDLE_TIMEOUT},
    write_timeout::WriteTimeout,
};
use crate::tls::TlsOnPlainPort;

/// Time limit for a peer to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The sources of playlists and segments.
#[derive(Debug, Clone)]
pub struct HlsSources {
    /// The sessions of rooms that this node publishes.
    pub hls: HlsSessions,
    /// The rooms that are live here.
    pub directory: StreamDirectory,
    /// The proxy for rooms of other nodes.
    pub proxy: HlsProxy,
    /// The decision on access.
    pub gatekeeper: Gatekeeper,
    /// The viewers who ask for it.
    pub viewers: HlsViewers,
    /// The requests for it.
    pub requests: HlsRequests,
}

/// The HLS of a port.
pub(super) struct Site {
    sources: HlsSources,
    app: String,
}

impl Site {
    pub fn new(sources: HlsSources, app: String) -> Self {
        Self { sources, app }
    }

    /// Returns whether a path is one of HLS, whatever exists at it.
    pub fn has(&self, path: &str) -> bool {
        !matches!(target::parse(path, &self.app), Err(TargetError::Unknown))
    }
}

/// Returns the service of the port's connections, for each worker thread. `tls` knows connections that belong to
/// another port.
pub(crate) fn service(
    sources: HlsSources,
    port: HttpSettings,
    permits: ConnectionLimit,
    tls: TlsOnPlainPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("hls", permits);
    fn_factory(move || worker(sources.clone(), port.clone(), gate.clone(), tls.clone()))
}

async fn worker(
    sources: HlsSources,
    port: HttpSettings,
    gate: ConnectionGate,
    tls: TlsOnPlainPort,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let framework = Rc::new(framework(sources, &port).await?);
    Ok(fn_service(move |socket: TcpStream| {
        let (framework, gate, tls) = (framework.clone(), gate.clone(), tls.clone());
        let (head_timeout, stall_timeout) = (port.head_timeout, port.stall_timeout);
        async move {
            let Some((_permit, mut socket, peer)) = gate.admit(socket).await else { return Ok(()) };
            let first = timeout(head_timeout, socket.peek_byte()).await;
            if first.is_ok_and(|first| !first.is_ok_and(|first| tls.note(first, peer))) {
                serve(&*framework, WriteTimeout::new(socket, stall_timeout), peer).await;
            }
            Ok(())
        }
    }))
}

async fn serve(
    framework: &impl Service<(WriteTimeout<Wire>, Option<SocketAddr>), Response = (), Error = DispatchError>,
    socket: WriteTimeout<Wire>,
    peer: SocketAddr,
) {
    if let Err(error) = framework.call((socket, Some(peer))).await {
        debug!(peer:% = peer, reason:% = error; "HLS connection ended");
    }
}

async fn framework(
    sources: HlsSources,
    port: &HttpSettings,
) -> Result<
    impl Service<(WriteTimeout<Wire>, Option<SocketAddr>), Response = (), Error = DispatchError> + use<>,
    (),
> {
    let site = web::Data::new(Site::new(sources, port.app.clone()));
    let serve = async |request: HttpRequest, site: web::Data<Site>| answer(&request, &site).await;
    let app = App::new().app_data(site).app_data(port.proxies.clone()).default_service(web::to(serve));
    let app = map_config(app.into_factory(), |_| AppConfig::default());
    HttpService::<WriteTimeout<Wire>, _, _>::build()
        .keep_alive(KeepAlive::Timeout(IDLE_TIMEOUT))
        .client_request_timeout(port.head_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1_allow_half_closed(true)
        .h1(app)
        .new_service(())
        .await
}

/// Answers a request for HLS.
pub(super) async fn answer(request: &HttpRequest, site: &Site) -> HttpResponse {
    let target = target::parse(request.path(), &site.app);
    let kind = target.as_ref().ok().map(HlsRequestKind::of);
    let responded = respond(request, site, target).await;
    let mut response = responded.unwrap_or_else(|refusal| refusal.response());
    if let Some(kind) = kind {
        site.sources.requests.note(kind, &response);
    }
    cors::expose_headers(&mut response);
    if site.sources.directory.is_draining() {
        // The player's next request goes to another node.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

async fn respond(
    request: &HttpRequest,
    site: &Site,
    target: Result<HlsResource, TargetError>,
) -> Result<HttpResponse, ApiError> {
    let Site { sources, app } = site;
    if let Some(answer) = window::answer(request, &sources.gatekeeper, &sources.hls, app).await {
        return answer;
    }
    match (target, request.method()) {
        (Err(TargetError::Unknown), _) => Err(ApiError::not_found(format!(
            "there is nothing at this path; a playlist is at /{}/ROOM/index.m3u8",
            site.app
        ))),
        (_, &Method::OPTIONS) => Ok(cors::preflight(cors::READ_METHODS)),
        (Err(TargetError::Room(bad_name)), &Method::GET | &Method::HEAD) => Err(bad_name.into()),
        (Ok(resource), &Method::GET | &Method::HEAD) => find(request, &site.sources, resource).await,
        (_, _) => Err(ApiError::method_not_allowed(cors::READ_METHODS)),
    }
}

async fn find(
    request: &HttpRequest,
    sources: &HlsSources,
    resource: HlsResource,
) -> Result<HttpResponse, ApiError> {
    let admitted = admit(request, &sources.gatekeeper, &resource).await;
    let admitted = admitted.inspect_err(|_| note_join(sources, &resource, JoinOutcome::Denied))?;
    match resource {
        HlsResource::Playlist { room, address, .. } => {
            let wanted = playlist::Wanted::read(request, address)?;
            let found = find_playlist(request, &admitted, sources, room.clone(), wanted).await;
            if !admitted.is_node {
                note_viewer(request, sources, &room, &found);
            }
            found
        }
        HlsResource::Segment { room, name } => {
            let segment = find_segment(request, &admitted, sources, room, name).await?;
            Ok(admitted.guard(segment))
        }
    }
}

/// Counts who gets a playlist as a viewer, and one who asks for the first time as a request to watch; so is each refusal.
fn note_viewer(
    request: &HttpRequest,
    sources: &HlsSources,
    room: &RoomName,
    found: &Result<HttpResponse, ApiError>,
) {
    let outcome = match found.as_ref().map_or_else(ApiError::status, HttpResponse::status) {
        StatusCode::NOT_FOUND => JoinOutcome::NotLive,
        status if status.is_client_error() => JoinOutcome::Error,
        status if status.is_server_error() => JoinOutcome::Origin,
        _ if sources.viewers.note(room, request) => JoinOutcome::Accepted,
        _ => return,
    };
    sources.directory.metrics().joins.get((ViewerProtocol::Hls, outcome)).inc();
}

fn note_join(sources: &HlsSources, resource: &HlsResource, outcome: JoinOutcome) {
    if let HlsResource::Playlist { .. } = resource {
        sources.directory.metrics().joins.get((ViewerProtocol::Hls, outcome)).inc();
    }
}

/// The playlist is on the publisher's node. One that is left here is valid until another node has the room.
async fn find_playlist(
    request: &HttpRequest,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    wanted: playlist::Wanted,
) -> Result<HttpResponse, ApiError> {
    let form = wanted.form(&sources.hls)?;
    let session = sources.hls.open(&sources.directory, &admitted.grant, form, 0).await;
    let session = session.map_err(playlist::directory_ended)?;
    let playlist::Wanted { address, request: blocking } = wanted;
    let resource = HlsResource::Playlist { room: room.clone(), address, request: blocking };
    let is_published = session.is_some_and(|session| session.is_published());
    let elsewhere = if is_published {
        sources.proxy.forget(resource.at_once());
        Elsewhere::Nowhere
    } else {
        ask_elsewhere(request, admitted, sources, resource).await?
    };
    let (from_sequence, absent) = match elsewhere {
        Elsewhere::Answered(response) => return Ok(response),
        Elsewhere::Past => return Err(OpenError::NotLive(room).into()),
        Elsewhere::Nowhere => (0, OpenError::NotLive(room).into()),
        Elsewhere::Here { from_sequence } => (from_sequence, OpenError::NotLive(room).into()),
        Elsewhere::Unknown(refusal) => (0, refusal),
    };
    let here = playlist::Here { wanted, form, from_sequence };
    let local = playlist::answer(request, admitted, &sources.hls, &sources.directory, here).await;
    let local = local.and_then(|local| local.ok_or(absent));
    if is_published || !admitted.is_node {
        return local;
    }
    Ok(forward::note_left(local.unwrap_or_else(|refusal| refusal.response())))
}

/// Asks the publisher's node. A request that it may hold counts as held here as well.
async fn ask_elsewhere(
    request: &HttpRequest,
    admitted: &Admitted,
    sources: &HlsSources,
    resource: HlsResource,
) -> Result<Elsewhere, ApiError> {
    let is_held = !admitted.is_node && resource.is_held();
    let answer = forward::ask(request, admitted, &sources.proxy, resource);
    if !is_held {
        return answer.await;
    }
    let _mark = sources.hls.metrics().hold();
    sources.hls.unless_released(answer).await.unwrap_or_else(|| Err(playlist::not_yet()))
}

/// No number is used twice, so that what is here is what is meant.
async fn find_segment(
    request: &HttpRequest,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    name: SegmentName,
) -> Result<HttpResponse, ApiError> {
    let piece = match sources.hls.piece(&admitted.grant, name) {
        Some(piece) => Some(piece),
        None => sources.hls.awaited_part(&admitted.grant, name).await,
    };
    if let Some(piece) = piece {
        return segment::answer(request, &piece).await;
    }
    let resource = HlsResource::Segment { room, name };
    match ask_elsewhere(request, admitted, sources, resource).await? {
        Elsewhere::Answered(response) => Ok(response),
        Elsewhere::Unknown(refusal) => Err(refusal),
        Elsewhere::Nowhere | Elsewhere::Here { .. } | Elsewhere::Past => Err(segment::unknown()),
    }
}
