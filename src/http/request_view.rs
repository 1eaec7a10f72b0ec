//! The parts of a request that answers depend on, the same for requests that come through the web framework and for those
//! that do not.

use std::net::{Ipv4Addr, SocketAddr};

use actix_http::Request;
use actix_web::{
    HttpMessage, HttpRequest,
    http::{Method, header::HeaderMap},
};

use super::proxies;

/// A request that was read whole, up to its body.
pub(super) trait RequestView: HttpMessage {
    /// Its method.
    fn method(&self) -> &Method;

    /// Its path as it was sent, escapes included.
    fn path(&self) -> &str;

    /// The part behind the question mark; empty without one.
    fn query_string(&self) -> &str;

    /// The client's address, behind the proxies that are trusted.
    fn client(&self) -> SocketAddr;
}

impl RequestView for HttpRequest {
    fn method(&self) -> &Method {
        self.method()
    }

    fn path(&self) -> &str {
        self.path()
    }

    fn query_string(&self) -> &str {
        self.query_string()
    }

    fn client(&self) -> SocketAddr {
        proxies::client(self, known(self.peer_addr()))
    }
}

/// Its peer's address is that of the client already: proxies count when it is made.
impl RequestView for Request {
    fn method(&self) -> &Method {
        self.method()
    }

    fn path(&self) -> &str {
        self.path()
    }

    fn query_string(&self) -> &str {
        self.uri().query().unwrap_or_default()
    }

    fn client(&self) -> SocketAddr {
        known(self.peer_addr())
    }
}

/// A header's first value, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Every request is given an address.
fn known(peer: Option<SocketAddr>) -> SocketAddr {
    peer.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
}
