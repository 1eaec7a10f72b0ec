//! WHEP, by which WebRTC players ask for a room (draft-ietf-wish-whep): `POST /ROOM/whep` with an offer, and what becomes of
//! the session at the address in `Location`.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{Method, StatusCode, header},
    web::Payload,
};
use futures::StreamExt;
use log::info;
use synctv_actors::{
    access::{Gatekeeper, Protocol},
    directory::StreamDirectory,
    webrtc::{NewViewer, SessionId, WatchError, Watching, WebRtc},
};
use synctv_media::{stream::room::RoomName, webrtc::offer::OFFER_MAX_BYTES};

use super::{
    api_error::ApiError,
    cors::{self, preflight},
    credentials::{access_request, peer},
};

/// The type of offers and answers.
const SDP: &str = "application/sdp";

/// The type of candidates that follow an offer (RFC 8840).
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Time limit for an offer's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

const ENDPOINT_METHODS: &str = "GET, HEAD, POST, OPTIONS";
const SESSION_METHODS: &str = "PATCH, DELETE, OPTIONS";

/// Names the ICE session. There is one for each WebRTC session: a restart is a new offer.
const ENTITY_TAG: &str = "\"ice-1\"";

/// The service of WebRTC players' requests.
#[derive(Debug, Clone)]
pub struct Whep {
    /// The port that sends the media.
    pub webrtc: WebRtc,
    /// The streams.
    pub directory: StreamDirectory,
    /// Decides who may watch.
    pub gatekeeper: Gatekeeper,
}

impl Whep {
    /// Answers a request for a room, or for one of its sessions.
    pub(super) async fn answer(
        &self,
        request: &HttpRequest,
        body: Payload,
        room: &RoomName,
        session: Option<&str>,
    ) -> Result<HttpResponse, ApiError> {
        match (request.method(), session) {
            (&Method::OPTIONS, None) => Ok(accepting(preflight(ENDPOINT_METHODS))),
            (&Method::OPTIONS, Some(_)) => Ok(preflight(SESSION_METHODS)),
            (&Method::POST, None) => self.begin(request, body, room).await,
            (&Method::GET | &Method::HEAD, None) => Ok(accepting(no_content().finish())),
            (&Method::DELETE, Some(session)) => self.end(room, session).await,
            (&Method::PATCH, Some(session)) => self.patch(request, body, room, session).await,
            (_, None) => Err(ApiError::method_not_allowed(ENDPOINT_METHODS)),
            (_, Some(_)) => Err(ApiError::method_not_allowed(SESSION_METHODS)),
        }
    }

    async fn begin(
        &self,
        request: &HttpRequest,
        body: Payload,
        room: &RoomName,
    ) -> Result<HttpResponse, ApiError> {
        require_type(request, SDP)?;
        let offer = read(body).await?;
        let access = access_request(request, Protocol::WebRtc, room);
        let grant = self.gatekeeper.admit_viewer(&access).await?;
        let stream = self.directory.open(&grant).await?;
        let peer = peer(request);
        let viewer = NewViewer { peer, offer, access: grant.begin() };
        let watching = self.webrtc.watch(&stream, viewer).await;
        watching.map(|watching| created(request.path(), watching)).map_err(|error| {
            refused(room, peer, &error);
            error.into()
        })
    }

    async fn end(&self, room: &RoomName, session: &str) -> Result<HttpResponse, ApiError> {
        let id = SessionId::parse(session).ok_or_else(no_session)?;
        if !self.webrtc.end(room, id).await {
            return Err(no_session());
        }
        Ok(HttpResponse::Ok().insert_header(cors::ANY_ORIGIN).finish())
    }

    /// Candidates of the viewer are not needed: the server learns its addresses from its checks.
    async fn patch(
        &self,
        request: &HttpRequest,
        body: Payload,
        room: &RoomName,
        session: &str,
    ) -> Result<HttpResponse, ApiError> {
        require_type(request, SDP_FRAGMENT)?;
        let id = SessionId::parse(session).ok_or_else(no_session)?;
        if !self.webrtc.has(room, id).await {
            return Err(no_session());
        }
        read(body).await?;
        match request.headers().get(header::IF_MATCH).map(header::HeaderValue::as_bytes) {
            None => Err(ApiError::new(
                StatusCode::PRECONDITION_REQUIRED,
                "no_entity_tag",
                "If-Match is missing: the ETag of the answer",
            )),
            Some(b"*") => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "no_ice_restart",
                "ICE is not restarted: begin a new session",
            )),
            Some(tag) if tag == ENTITY_TAG.as_bytes() => Ok(no_content().finish()),
            Some(_) => Err(ApiError::new(
                StatusCode::PRECONDITION_FAILED,
                "other_entity_tag",
                "If-Match is not the ETag of the answer",
            )),
        }
    }
}

/// 404, where WebRTC is off.
pub(super) fn off() -> ApiError {
    ApiError::not_found("there is nothing at this path; WebRTC is off")
}

fn no_session() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_session", "there is no such session on this node")
}

fn created(path: &str, Watching { id, answer }: Watching) -> HttpResponse {
    let location = format!("{}/{id}", path.trim_end_matches('/'));
    HttpResponse::Created()
        .content_type(SDP)
        .insert_header((header::LOCATION, location))
        .insert_header((header::ETAG, ENTITY_TAG))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(cors::ANY_ORIGIN)
        .insert_header((header::ACCESS_CONTROL_EXPOSE_HEADERS, "Location, ETag, Link, Retry-After"))
        .body(answer)
}

fn no_content() -> HttpResponseBuilder {
    let mut response = HttpResponse::NoContent();
    response.insert_header(cors::ANY_ORIGIN);
    response
}

/// Names the type of offers, by which players know an endpoint.
fn accepting(mut response: HttpResponse) -> HttpResponse {
    let name = header::HeaderName::from_static("accept-post");
    response.headers_mut().insert(name, header::HeaderValue::from_static(SDP));
    response
}

fn refused(room: &RoomName, peer: std::net::SocketAddr, error: &WatchError) {
    info!(room = room.as_str(), peer:% = peer, why:% = error, protocol = "webrtc"; "viewer refused");
}

fn require_type(request: &HttpRequest, expected: &'static str) -> Result<(), ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if given.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let message = format!("the Content-Type has to be {expected}");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message))
}

async fn read(mut body: Payload) -> Result<String, ApiError> {
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| ApiError::bad_request("bad_body", error.to_string()))?;
            if bytes.len() + chunk.len() > OFFER_MAX_BYTES {
                let message = format!("the limit is {OFFER_MAX_BYTES} bytes");
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let bytes = tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(|_| {
        Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_late", "the body did not come in time"))
    })?;
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("bad_offer", "the body is not UTF-8"))
}
