//! The answers to requests for HLS, over whatever they came.

use actix_http::Request;
use actix_web::{
    HttpResponse,
    http::{Method, StatusCode},
};
use synctv_actors::{
    access::Gatekeeper,
    directory::{OpenError, StreamDirectory},
    hls::{
        ConnectionHolds, HlsSessions,
        proxy::{HlsProxy, HlsResource},
    },
    metrics::{JoinOutcome, ViewerProtocol},
};
use synctv_media::{
    hls::segment_name::{Piece, SegmentName},
    stream::room::RoomName,
};

use super::{
    super::{api_error::ApiError, cors, credentials},
    admission::{Admitted, admit},
    forward::{self, Elsewhere},
    playlist,
    requests::{HlsRequestKind, HlsRequests},
    segment,
    target::{self, TargetError},
    viewers::HlsViewers,
    window,
};

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

    /// Returns whether a path below `app` is one of HLS, even if there is nothing at it.
    pub fn is_path(path: &str, app: &str) -> bool {
        !matches!(target::parse(path, app), Err(TargetError::Unknown))
    }

    /// Returns whether a path is one of HLS, even if there is nothing at it.
    pub fn has(&self, path: &str) -> bool {
        Self::is_path(path, &self.app)
    }

    /// The rooms.
    pub fn directory(&self) -> &StreamDirectory {
        &self.sources.directory
    }

    /// Waits until connections are to be closed.
    pub async fn wait_for_closing(&self) {
        self.sources.directory.wait_for_closing().await;
    }
}

/// Answers a request for HLS. `holds` limits what its connection has held at once.
pub(super) async fn answer(request: &Request, site: &Site, holds: Option<&ConnectionHolds>) -> HttpResponse {
    let target = target::parse(request.path(), &site.app);
    let kind = target.as_ref().ok().map(HlsRequestKind::of);
    let responded = respond(request, site, target, holds).await;
    let mut response = responded.unwrap_or_else(|refusal| refusal.response());
    if let Some(kind) = kind {
        site.sources.requests.note(kind, &response);
    }
    cors::expose_headers(&mut response);
    response
}

async fn respond(
    request: &Request,
    site: &Site,
    target: Result<HlsResource, TargetError>,
    holds: Option<&ConnectionHolds>,
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
        (Ok(resource), &Method::GET | &Method::HEAD) => find(request, &site.sources, resource, holds).await,
        (_, _) => Err(ApiError::method_not_allowed(cors::READ_METHODS)),
    }
}

async fn find(
    request: &Request,
    sources: &HlsSources,
    resource: HlsResource,
    holds: Option<&ConnectionHolds>,
) -> Result<HttpResponse, ApiError> {
    let admitted = admit(request, &sources.gatekeeper, &resource).await;
    let admitted = admitted.inspect_err(|_| note_join(sources, &resource, JoinOutcome::Denied))?;
    match resource {
        HlsResource::Playlist { room, address, .. } => {
            let wanted = playlist::Wanted::read(request, address)?;
            let is_held = wanted.request.is_some();
            let found = find_playlist(request, &admitted, sources, room.clone(), wanted, holds).await;
            let found = found.map_err(|refusal| of_held(refusal, is_held, &sources.directory));
            if !admitted.is_node {
                note_viewer((request, &admitted), sources, &room, &found);
            }
            found
        }
        HlsResource::Segment { room, name } => {
            let is_held = matches!(name.piece, Piece::Part(_));
            let found = find_segment(request, &admitted, sources, room, name, holds).await;
            let found = found.map_err(|refusal| of_held(refusal, is_held, &sources.directory))?;
            Ok(admitted.guard(found))
        }
    }
}

/// The refusal of a request that was perhaps held. On a node that drains, its room may end first: players take 404 for the end of the
/// stream, which goes on elsewhere.
fn of_held(refusal: ApiError, is_held: bool, directory: &StreamDirectory) -> ApiError {
    let is_absent = refusal.status() == StatusCode::NOT_FOUND;
    if is_held && is_absent && directory.is_draining() { playlist::not_yet() } else { refusal }
}

/// Counts who gets a playlist as a viewer, and one who asks for the first time as a request to watch; so is each refusal.
fn note_viewer(
    (request, admitted): (&Request, &Admitted),
    sources: &HlsSources,
    room: &RoomName,
    found: &Result<HttpResponse, ApiError>,
) {
    let outcome = match found.as_ref().map_or_else(ApiError::status, HttpResponse::status) {
        StatusCode::NOT_FOUND => JoinOutcome::NotLive,
        status if status.is_client_error() => JoinOutcome::Error,
        status if status.is_server_error() => JoinOutcome::Origin,
        _ if sources.viewers.note(room, credentials::peer(request).ip(), admitted.pass.as_ref()) => {
            JoinOutcome::Accepted
        }
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
    request: &Request,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    wanted: playlist::Wanted,
    holds: Option<&ConnectionHolds>,
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
        ask_elsewhere(request, admitted, sources, resource, holds).await?
    };
    let (from_sequence, absent) = match elsewhere {
        Elsewhere::Answered(response) => return Ok(response),
        Elsewhere::Past => return Err(OpenError::NotLive(room).into()),
        Elsewhere::Nowhere => (0, OpenError::NotLive(room).into()),
        Elsewhere::Here { from_sequence } => (from_sequence, OpenError::NotLive(room).into()),
        Elsewhere::Unknown(refusal) => (0, refusal),
    };
    let here = playlist::Here { wanted, holds, form, from_sequence };
    let local = playlist::answer(request, admitted, &sources.hls, &sources.directory, here).await;
    let local = local.and_then(|local| local.ok_or(absent));
    if is_published || !admitted.is_node {
        return local;
    }
    Ok(forward::note_left(local.unwrap_or_else(|refusal| refusal.response())))
}

/// Asks the publisher's node. A request that it may hold counts as held here as well, and takes a place of its connection:
/// requests for the same thing are one for that node, but each of them waits here.
async fn ask_elsewhere(
    request: &Request,
    admitted: &Admitted,
    sources: &HlsSources,
    resource: HlsResource,
    holds: Option<&ConnectionHolds>,
) -> Result<Elsewhere, ApiError> {
    let is_held = !admitted.is_node && resource.is_held();
    if !is_held {
        return forward::ask(request, admitted, &sources.proxy, resource).await;
    }
    let _place = sources.hls.place_elsewhere(holds).await.ok_or_else(playlist::not_yet)?;
    let answer = forward::ask(request, admitted, &sources.proxy, resource);
    let _mark = sources.hls.metrics().hold();
    sources.hls.unless_released(answer).await.unwrap_or_else(|| Err(playlist::not_yet()))
}

/// No number is used twice, so that what is here is what is meant.
async fn find_segment(
    request: &Request,
    admitted: &Admitted,
    sources: &HlsSources,
    room: RoomName,
    name: SegmentName,
    holds: Option<&ConnectionHolds>,
) -> Result<HttpResponse, ApiError> {
    let piece = match sources.hls.piece(&admitted.grant, name) {
        Some(piece) => Some(piece),
        None => sources.hls.awaited_part(&admitted.grant, name, holds).await,
    };
    if let Some(piece) = piece {
        return segment::answer(request, &piece).await;
    }
    let resource = HlsResource::Segment { room, name };
    match ask_elsewhere(request, admitted, sources, resource, holds).await? {
        Elsewhere::Answered(response) => Ok(response),
        Elsewhere::Unknown(refusal) => Err(refusal),
        Elsewhere::Nowhere | Elsewhere::Here { .. } | Elsewhere::Past => Err(segment::unknown()),
    }
}
