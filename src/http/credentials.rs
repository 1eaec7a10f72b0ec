//! What requests say of those who make them, and refusals of access.

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use synctv_actors::{
    access::{AccessRequest, Gatekeeper, Grant, Protocol, ToPull},
    cluster::origin::PULL_HEADER,
};
use synctv_media::{
    access::{NodeRequest, Refusal},
    stream::room::RoomName,
};

use super::reply::error;

/// The value of the header `Authorization`.
pub(super) fn authorization(request: &HttpRequest) -> Option<&str> {
    text(request, header::AUTHORIZATION.as_str())
}

/// The client's address.
pub(super) fn peer(request: &HttpRequest) -> SocketAddr {
    // The framework is always given one.
    request.peer_addr().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
}

/// A request for access to a room.
pub(super) fn access_request<'a>(
    request: &'a HttpRequest,
    protocol: Protocol,
    room: &'a RoomName,
) -> AccessRequest<'a> {
    let (query, user_agent) = (request.query_string(), text(request, header::USER_AGENT.as_str()));
    AccessRequest::http(protocol, peer(request), room, query, authorization(request), user_agent)
}

/// The decision on a request that says it is a node's; `None` if it does not say so.
pub(super) fn node(
    request: &HttpRequest,
    gatekeeper: &Gatekeeper,
    room: &RoomName,
) -> Option<Result<Grant<ToPull>, Refusal>> {
    let signature = request.headers().get(PULL_HEADER)?;
    let signed = NodeRequest {
        method: request.method().as_str(),
        host: text(request, header::HOST.as_str()).unwrap_or_default(),
        path: request.path(),
    };
    let signature = signature.to_str().unwrap_or_default();
    Some(gatekeeper.admit_node(room, &signed, signature, peer(request)))
}

/// The answer to one who is refused.
pub(super) fn refused(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = error(status, refusal.code(), &refusal.to_string());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(retry_after_s) = refusal.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
    }
    response
}

fn text<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
