//! WHEP, by which WebRTC players ask for a room (draft-ietf-wish-whep): `POST /ROOM/whep` with an offer, and what becomes of
//! the session at the address in `Location`.

mod session;
mod session_address;

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{Method, StatusCode, header},
    web::Payload,
};
use futures::StreamExt;
use synctv_actors::{
    access::{Gatekeeper, Protocol},
    cluster::registry::RegistryHandle,
    directory::{OpenError, StreamDirectory},
    metrics::{JoinOutcome, ViewerProtocol},
    webrtc::{NewViewer, WatchError, Watching, WebRtc},
};
use synctv_media::{access::Refusal, stream::room::RoomName, webrtc::offer::OFFER_MAX_BYTES};

use self::session_address::SessionAddress;
use super::{
    api_error::ApiError,
    cors::{self, preflight},
    credentials::{access_request, peer},
    live::log_viewer_refused,
};
use crate::webrtc::IceServers;

/// The type of offers and answers.
const SDP: &str = "application/sdp";

/// Time limit for an offer's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

const ENDPOINT_METHODS: &str = "GET, HEAD, POST, OPTIONS";
const SESSION_METHODS: &str = "PATCH, DELETE, OPTIONS";

/// The headers of an answer that a page of another origin may read.
const EXPOSED_HEADERS: &str = "Location, ETag, Link, Retry-After";

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
    /// Servers that answers to offers name.
    pub ice_servers: IceServers,
    /// This node's name, which is in the addresses of its sessions.
    pub node: String,
    /// Knows the other nodes.
    pub registry: RegistryHandle,
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
            (&Method::OPTIONS, None) => Ok(self.describe(request, room).await),
            (&Method::OPTIONS, Some(_)) => Ok(preflight(SESSION_METHODS)),
            (&Method::POST, None) => self.begin(request, body, room).await,
            (&Method::GET | &Method::HEAD, None) => Ok(accepting(no_content().finish())),
            (&Method::DELETE | &Method::PATCH, Some(session)) => {
                self.answer_for_session(request, body, room, session).await
            }
            (_, None) => Err(ApiError::method_not_allowed(ENDPOINT_METHODS)),
            (_, Some(_)) => Err(ApiError::method_not_allowed(SESSION_METHODS)),
        }
    }

    /// Answers `OPTIONS`. The servers may have a password, so they are named to those alone who may watch.
    async fn describe(&self, request: &HttpRequest, room: &RoomName) -> HttpResponse {
        let response = accepting(preflight(ENDPOINT_METHODS));
        let is_named = match self.gatekeeper.is_play_closed() {
            true => self.is_admitted(request, room).await,
            false => true,
        };
        if is_named { self.linked(response) } else { response }
    }

    /// Returns whether the request has a credential that opens the room. A preflight has none, or not all that the request behind
    /// it will have, and is no failed attempt.
    async fn is_admitted(&self, request: &HttpRequest, room: &RoomName) -> bool {
        let access = access_request(request, Protocol::WebRtc, room);
        let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let has_credential = access.authorization.is_some() || !access.query.is_empty();
        !is_preflight && has_credential && self.gatekeeper.admit_viewer(&access).await.is_ok()
    }

    async fn begin(
        &self,
        request: &HttpRequest,
        body: Payload,
        room: &RoomName,
    ) -> Result<HttpResponse, ApiError> {
        require_type(request, SDP)?;
        let offer = read(body).await?;
        let joined = self.watch(request, offer, room).await;
        joined.map(|watching| self.linked(self.created(request.path(), watching))).map_err(|refused| {
            self.directory.metrics().joins.get((ViewerProtocol::WebRtc, refused.outcome)).inc();
            refused.error
        })
    }

    async fn watch(
        &self,
        request: &HttpRequest,
        offer: String,
        room: &RoomName,
    ) -> Result<Watching, RefusedOffer> {
        let access = access_request(request, Protocol::WebRtc, room);
        let grant = self.gatekeeper.admit_viewer(&access).await?;
        let stream = self.directory.open(&grant).await?;
        let peer = peer(request);
        let viewer = NewViewer { peer, offer, access: grant.begin() };
        self.webrtc.watch(&stream, viewer).await.map_err(|error| {
            log_viewer_refused(room, peer, ViewerProtocol::WebRtc, &error);
            error.into()
        })
    }

    fn created(&self, path: &str, Watching { id, answer }: Watching) -> HttpResponse {
        let session = SessionAddress { id, node: self.node.clone() };
        let location = format!("{}/{session}", path.trim_end_matches('/'));
        HttpResponse::Created()
            .content_type(SDP)
            .insert_header((header::LOCATION, location))
            .insert_header((header::ETAG, ENTITY_TAG))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(cors::ANY_ORIGIN)
            .body(answer)
    }

    /// Names the servers by which players find a way to this host.
    fn linked(&self, mut response: HttpResponse) -> HttpResponse {
        let headers = response.headers_mut();
        for link in self.ice_servers.links() {
            headers.append(header::LINK, link.clone());
        }
        let exposed = header::HeaderValue::from_static(EXPOSED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        response
    }
}

/// 404, where WebRTC is off.
pub(super) fn off() -> ApiError {
    ApiError::not_found("there is nothing at this path; WebRTC is off")
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

/// An offer that is not answered.
struct RefusedOffer {
    outcome: JoinOutcome,
    error: ApiError,
}

impl From<Refusal> for RefusedOffer {
    fn from(refusal: Refusal) -> Self {
        Self { outcome: JoinOutcome::Denied, error: refusal.into() }
    }
}

impl From<OpenError> for RefusedOffer {
    fn from(error: OpenError) -> Self {
        Self { outcome: error.outcome(), error: error.into() }
    }
}

impl From<WatchError> for RefusedOffer {
    fn from(error: WatchError) -> Self {
        Self { outcome: error.outcome(), error: error.into() }
    }
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
