//! Credentials in requests.

use std::net::SocketAddr;

use actix_web::http::header;
use synctv_actors::{
    access::{AccessRequest, Gatekeeper, Grant, Protocol, ToPull},
    cluster::origin::PULL_HEADER,
};
use synctv_media::{
    access::{NodeRequest, Refusal},
    stream::room::RoomName,
};

use super::request_view::{RequestView, text};

/// The value of the header `Authorization`.
pub(super) fn authorization(request: &impl RequestView) -> Option<&str> {
    text(request.headers(), header::AUTHORIZATION.as_str())
}

/// The client's address, behind the proxies that are trusted.
pub(super) fn peer(request: &impl RequestView) -> SocketAddr {
    request.client()
}

/// A request for access to a room.
pub(super) fn access_request<'a>(
    request: &'a impl RequestView,
    protocol: Protocol,
    room: &'a RoomName,
) -> AccessRequest<'a> {
    let user_agent = text(request.headers(), header::USER_AGENT.as_str());
    let query = request.query_string();
    AccessRequest::http(protocol, peer(request), room, query, authorization(request), user_agent)
}

/// The decision on a request that says it is a node's; `None` if it does not say so.
pub(super) fn node(
    request: &impl RequestView,
    gatekeeper: &Gatekeeper,
    room: &RoomName,
) -> Option<Result<Grant<ToPull>, Refusal>> {
    let signature = request.headers().get(PULL_HEADER)?;
    let signed = NodeRequest {
        method: request.method().as_str(),
        host: text(request.headers(), header::HOST.as_str()).unwrap_or_default(),
        path: request.path(),
    };
    let signature = signature.to_str().unwrap_or_default();
    Some(gatekeeper.admit_node(room, &signed, signature, peer(request)))
}
