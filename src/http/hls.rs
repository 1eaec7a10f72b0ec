//! The HLS port: playlists and segments, by the web framework.

mod admission;
pub(super) mod body;
mod forward;
mod playlist;
mod segment;
pub(super) mod target;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use actix_http::{HttpService, KeepAlive, error::DispatchError};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::{Method, StatusCode, header},
    web,
};
use log::debug;
use synctv_actors::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    hls::{
        HlsSessions,
        proxy::{HlsProxy, HlsResource, PlaylistAddress},
    },
    wire::Wire,
};
use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};
use tokio::net::TcpStream;

use self::{
    admission::{Admitted, admit},
    forward::Elsewhere,
    target::TargetError,
};
use super::{
    IDLE_TIMEOUT,
    connection_gate::ConnectionGate,
    credentials::refused,
    reply::{error, not_allowed, preflight},
    write_timeout::WriteTimeout,
};

/// What a page of another site may read of an answer.
const EXPOSED_HEADERS: &str = "Content-Length, Content-Range, Date, ETag, Retry-After";

/// How long a peer may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the HLS port needs to know.
#[derive(Debug, Clone)]
pub struct HlsPort {
    /// Playlists are at `/APP/ROOM/index.m3u8` and `/APP/ROOM.m3u8`.
    pub app: String,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long a viewer may take nothing of what it asked for.
    pub stall_timeout: Duration,
}

/// Where playlists and segments come from.
#[derive(Debug, Clone)]
pub struct HlsSources {
    /// What this node publishes.
    pub hls: HlsSessions,
    /// Which rooms are live here.
    pub directory: StreamDirectory,
    /// What other nodes publish.
    pub proxy: HlsProxy,
    /// Who may have it.
    pub gatekeeper: Gatekeeper,
}

struct Site {
    sources: HlsSources,
    app: String,
}

/// What serves the port's connections, on each worker thread.
pub fn service(
    sources: HlsSources,
    port: HlsPort,
    permits: ConnectionLimit,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("hls", permits);
    fn_factory(move || worker(sources.clone(), port.clone(), gate.clone()))
}

async fn worker(
    sources: HlsSources,
    port: HlsPort,
    gate: ConnectionGate,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let framework = Rc::new(framework(sources, &port).await?);
    Ok(fn_service(move |socket: TcpStream| {
        let (framework, gate, stall_timeout) = (framework.clone(), gate.clone(), port.stall_timeout);
        async move {
            if let Some((permit, socket, peer)) = gate.admit(socket).await {
                serve(&*framework, WriteTimeout::new(socket, stall_timeout), peer).await;
                drop(permit);
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
    port: &HlsPort,
) -> Result<
    impl Service<(WriteTimeout<Wire>, Option<SocketAddr>), Response = (), Error = DispatchError> + use<>,
    (),
> {
    let site = web::Data::new(Site { sources, app: port.app.clone() });
    let app = App::new().app_data(site).default_service(web::to(answer));
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

async fn answer(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let target = target::parse(request.path(), &site.app);
    let mut response = match (target, request.method()) {
        (Err(TargetError::Unknown), _) => {
            let message =
                format!("there is nothing at this path; a playlist is at /{}/ROOM/index.m3u8", site.app);
            error(StatusCode::NOT_FOUND, "not_found", &message)
        }
        (_, &Method::OPTIONS) => preflight(),
        (Err(TargetError::Room(bad_name)), &Method::GET | &Method::HEAD) => {
            error(StatusCode::BAD_REQUEST, "bad_room_name", &bad_name.to_string())
        }
        (Ok(resource), &Method::GET | &Method::HEAD) => find(&request, &site.sources, resource).await,
        (_, _) => not_allowed(),
    };
    let exposed = header::HeaderValue::from_static(EXPOSED_HEADERS);
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

async fn find(request: &HttpRequest, sources: &HlsSources, resource: HlsResource) -> HttpResponse {
    let admitted = match admit(request, &sources.gatekeeper, &resource).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    match resource {
        HlsResource::Playlist { room, address } => {
            find_playlist(request, &admitted, sources, room, address).await
        }
        HlsResource::Segment { room, name } => {
            admitted.guard(find_segment(request, &admitted, sources, room, name).await)
        }
    }
}

/// Where the publisher is, there is the playlist. What it left here is good for as long as it is nowhere else.
async fn find_playlist(
    request: &HttpRequest,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    address: PlaylistAddress,
) -> HttpResponse {
    let session = match sources.hls.open(&sources.directory, &admitted.grant).await {
        Ok(session) => session,
        Err(ended) => return playlist::directory_ended(ended),
    };
    let resource = HlsResource::Playlist { room: room.clone(), address };
    let elsewhere = if session.is_some_and(|session| session.is_published()) {
        sources.proxy.forget(resource);
        Elsewhere::Nowhere
    } else {
        forward::ask(request, admitted, &sources.proxy, resource).await
    };
    let absent = match elsewhere {
        Elsewhere::Answered(response) => return response,
        Elsewhere::Past => return playlist::not_live(&room),
        Elsewhere::Nowhere => playlist::not_live(&room),
        Elsewhere::Unknown(refusal) => refusal,
    };
    playlist::answer(request, admitted, &sources.hls, &sources.directory, address).await.unwrap_or(absent)
}

/// No number is used twice, so that what is here is what is meant.
async fn find_segment(
    request: &HttpRequest,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    name: SegmentName,
) -> HttpResponse {
    if let Some(segment) = sources.hls.segment(&admitted.grant, name) {
        return segment::answer(request, &segment).await;
    }
    let resource = HlsResource::Segment { room, name };
    match forward::ask(request, admitted, &sources.proxy, resource).await {
        Elsewhere::Answered(response) | Elsewhere::Unknown(response) => response,
        Elsewhere::Nowhere | Elsewhere::Past => segment::unknown(),
    }
}
