//! Credentials in requests.

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::{HttpRequest, http::header};
use synctv_actors::{
    access::{AccessRequest, Gatekeeper, Grant, Protocol, ToPull},
    cluster::origin::PULL_HEADER,
};
use synctv_media::{
    access::{NodeRequest, Refusal},
    stream::room::RoomName,
};

use super::proxies;

/// The value of the header `Authorization`.
pub(super) fn authorization(request: &HttpRequest) -> Option<&str> {
    text(request, header::AUTHORIZATION.as_str())
}

/// The client's address, behind the proxies that are trusted.
pub(super) fn peer(request: &HttpRequest) -> SocketAddr {
    // The framework is always given one.
    let peer = request.peer_addr().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    proxies::client(request, peer)
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

fn text<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
