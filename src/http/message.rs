//! Requests as the answers of HLS take them, made of heads that did not go through the web framework.

use std::net::SocketAddr;

use actix_http::Request;
use actix_web::http::{
    Method, Uri, Version,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
        USER_AGENT,
    },
};
use http::request::Parts;
use synctv_actors::cluster::origin::PULL_HEADER;

use super::proxies::{FORWARDED_FOR, TrustedProxies};

/// Makes a request of a head over HTTP/1. `client` is behind the proxies that are trusted. `None` if a part of it is not as
/// RFC 9110 has it.
pub(super) fn of_head(
    parsed: &httparse::Request<'_, '_>,
    target: &str,
    client: SocketAddr,
) -> Option<Request> {
    let mut request = Request::new();
    let head = request.head_mut();
    head.method = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    head.uri = target.parse::<Uri>().ok()?;
    head.version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    head.peer_addr = Some(client);
    for header in parsed.headers.iter() {
        if let Some(name) = known(header.name) {
            head.headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
    }
    Some(request)
}

/// Makes a request of one over HTTP/2.
pub(super) fn of_parts(parts: Parts, proxies: &TrustedProxies, peer: SocketAddr) -> Request {
    let mut request = Request::new();
    let head = request.head_mut();
    let forwarded = parts.headers.get_all(FORWARDED_FOR).iter();
    let client = proxies.client(peer, forwarded.map(|value| value.to_str().unwrap_or_default()));
    head.peer_addr = Some(client);
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.append(HOST, host);
    }
    for (name, value) in &parts.headers {
        if let Some(name) = known(name.as_str()) {
            head.headers.append(name, value.clone());
        }
    }
    (head.method, head.uri, head.version) = (parts.method, parts.uri, parts.version);
    request
}

/// The name of a header that an answer may depend on. No other one is kept: a request may be held for a long time, and
/// browsers send cookies along.
fn known(name: &str) -> Option<HeaderName> {
    let kept = [ACCEPT_ENCODING, AUTHORIZATION, HOST, IF_NONE_MATCH, IF_RANGE, RANGE, USER_AGENT];
    let kept = kept.into_iter().find(|kept| name.eq_ignore_ascii_case(kept.as_str()));
    kept.or_else(|| name.eq_ignore_ascii_case(PULL_HEADER).then(|| HeaderName::from_static(PULL_HEADER)))
}
