//! Requests about a session. A node that does not have the session passes them on to the one that does.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web::Payload,
};
use log::debug;
use synctv_actors::cluster::{
    origin::{LiveNode, PULL_HEADER},
    registry::Freshness,
};
use synctv_media::{
    access::{NodeRequest, Refusal},
    stream::room::RoomName,
};

use super::{ENTITY_TAG, Whep, no_content, read, require_type, session_address::SessionAddress};
use crate::{
    http::{api_error::ApiError, cors},
    node_call::{NodeAnswer, NodeCall},
};

/// The type of candidates that follow an offer (RFC 8840).
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Time limit for the registry to name the nodes.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(2);

impl Whep {
    /// Answers a request to end a session, or with candidates for it.
    pub(super) async fn answer_for_session(
        &self,
        request: &HttpRequest,
        body: Payload,
        room: &RoomName,
        session: &str,
    ) -> Result<HttpResponse, ApiError> {
        let is_patch = request.method() == Method::PATCH;
        if is_patch {
            require_type(request, SDP_FRAGMENT)?;
        }
        let session = SessionAddress::parse(session).ok_or_else(no_session)?;
        let is_passed_on = self.is_passed_on(request)?;
        if session.node != self.node {
            // Once: nodes that do not know their names must not pass it around.
            let node = Some(&session.node).filter(|_| !is_passed_on).ok_or_else(no_session)?;
            let body = if is_patch { read(body).await? } else { String::new() };
            return self.pass_on(request, &body, node).await;
        }
        if is_patch { self.patch(request, body, room, session).await } else { self.end(room, session).await }
    }

    async fn end(&self, room: &RoomName, session: SessionAddress) -> Result<HttpResponse, ApiError> {
        if !self.webrtc.end(room, session.id).await {
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
        session: SessionAddress,
    ) -> Result<HttpResponse, ApiError> {
        if !self.webrtc.has(room, session.id).await {
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

    /// Returns whether another node passed the request on.
    fn is_passed_on(&self, request: &HttpRequest) -> Result<bool, Refusal> {
        let Some(signature) = request.headers().get(PULL_HEADER) else { return Ok(false) };
        let host = text_of(request, header::HOST).unwrap_or_default();
        let signed = NodeRequest { method: request.method().as_str(), host, path: request.path() };
        let signature = signature.to_str().unwrap_or_default();
        self.gatekeeper.nodes().verify(&signed, signature).map(|_| true)
    }

    async fn pass_on(&self, request: &HttpRequest, body: &str, node: &str) -> Result<HttpResponse, ApiError> {
        let address = self.address_of(node).await?;
        let names = [("Content-Type", header::CONTENT_TYPE), ("If-Match", header::IF_MATCH)];
        let headers: Vec<_> =
            names.into_iter().filter_map(|(text, name)| Some((text, text_of(request, name)?))).collect();
        let method = request.method().as_str();
        let call = NodeCall { method, path: request.path(), headers: &headers, body };
        let answer = call.send(&address, self.gatekeeper.nodes()).await.map_err(|error| {
            debug!(node = node, reason:% = error; "a node does not answer for its WebRTC session");
            let message = format!("the node of the session does not answer: {error}");
            ApiError::new(StatusCode::BAD_GATEWAY, "origin_unreachable", message)
        })?;
        passed_back(answer)
    }

    /// Returns the web port of another node. The sessions of a node that has left ended with it; one that is not in the list has
    /// perhaps just come.
    async fn address_of(&self, node: &str) -> Result<String, ApiError> {
        for freshness in [Freshness::Known, Freshness::Fresh] {
            let nodes = self.nodes(freshness).await?;
            if let Some(found) = nodes.into_iter().find(|other| other.name == node) {
                return Ok(found.addresses.httpflv);
            }
        }
        Err(no_session())
    }

    async fn nodes(&self, freshness: Freshness) -> Result<Vec<LiveNode>, ApiError> {
        let unavailable = |error: String| ApiError::registry_unavailable(error);
        let nodes = tokio::time::timeout(REGISTRY_TIMEOUT, self.registry.nodes(freshness)).await;
        let nodes = nodes.map_err(|_| unavailable("the registry does not answer".to_owned()))?;
        nodes.map_err(|error| unavailable(error.to_string()))
    }
}

fn passed_back(NodeAnswer { status, body }: NodeAnswer) -> Result<HttpResponse, ApiError> {
    let status = StatusCode::from_u16(status).map_err(|_| {
        ApiError::new(StatusCode::BAD_GATEWAY, "origin_unreachable", "the node of the session answers oddly")
    })?;
    let mut response = HttpResponse::build(status);
    response.insert_header(cors::ANY_ORIGIN);
    if body.is_empty() {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}

fn text_of(request: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

fn no_session() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_session", "there is no such session")
}
