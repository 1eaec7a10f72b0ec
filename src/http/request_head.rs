//! The head of a request.

use std::{io, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use synctv_actors::{cluster::origin::PULL_HEADER, wire::Wire};
use synctv_media::{access::Confidential, digits};
use thiserror::Error;
use tokio::io::AsyncReadExt;

use super::{message, proxies::FORWARDED_FOR, websocket::Upgrade};

/// The longest head. Browsers send all cookies of a site along, of 4 KiB each.
pub(super) const HEAD_MAX_BYTES: usize = 32 * 1024;

/// The most headers: the framework takes one more, which may be added to those of the client.
pub(super) const HEADERS_MAX: usize = 95;

/// The least room that a read gets: enough for the head of most requests, and of those sizes that the allocator keeps for the
/// thread.
const READ_BYTES: usize = 1024;

/// The header that is added to a request after which the connection is closed.
const CLOSE: &[u8] = b"Connection: close\r\n";

/// The bytes of a connection up to the end of a head, and perhaps beyond. They may hold credentials, so it has no
/// `Debug`.
pub(super) struct RequestHead {
    bytes: BytesMut,
    request: Option<Request>,
}

/// The fields of a request's head that the server uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    pub query: Confidential,
    /// The `Host` header; empty without one, which HTTP/1.0 may lack.
    pub host: String,
    /// The addresses that proxies have noted, from all headers of that name.
    pub forwarded_for: Option<String>,
    pub authorization: Option<Confidential>,
    pub user_agent: Option<String>,
    /// HTTP/1.1, and not 1.0.
    pub is_http_1_1: bool,
    /// A node's signature: another node asks, for its own viewers.
    pub pull: Option<Confidential>,
    /// Another request may follow on the connection, right behind this head.
    pub is_persistent: bool,
    body: Body,
    /// It asks for a WebSocket.
    pub upgrade: Upgrade,
    size_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// The length of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Sized(u64),
    /// The framework finds its end.
    Unknown,
}

/// The last request of a connection.
pub(super) struct Last {
    /// Its head, saying that it is the last, for the answer to say so too, and what was read of its body.
    pub front: Bytes,
    /// Maximum bytes that are yet to be read of it.
    pub left_bytes: u64,
}

/// The reason there is no head.
#[derive(Debug, Error)]
pub(super) enum HeadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the head of the request has more than {HEAD_MAX_BYTES} bytes or {HEADERS_MAX} headers")]
    TooLarge,
    #[error("a request over HTTP/1.1 has one Host header, which is a host or empty")]
    Host,
}

/// The result of parsing the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Partial,
    Request(Box<Request>),
    /// No HTTP/1: the framework answers it.
    Nonsense,
    /// It does not say which host it is for, or names several (RFC 9112, section 3.2).
    Host,
    TooLarge,
}

impl RequestHead {
    /// Reads a head, of which `bytes` were read already. Bytes that are no HTTP/1 count as read.
    pub async fn read(wire: &mut Wire, mut bytes: BytesMut) -> Result<Self, HeadError> {
        // Bytes that were looked at and lack an end are looked at again only with one: they may come one by one.
        let mut looked_at = 0;
        loop {
            if looked_at == 0 && !bytes.is_empty()
                || has_end(&bytes, looked_at)
                || bytes.len() > HEAD_MAX_BYTES
            {
                match parse(&bytes) {
                    Parsed::Partial => {}
                    Parsed::Request(request) => return Ok(Self { bytes, request: Some(*request) }),
                    Parsed::Nonsense => return Ok(Self { bytes, request: None }),
                    Parsed::Host => return Err(HeadError::Host),
                    Parsed::TooLarge => return Err(HeadError::TooLarge),
                }
            }
            looked_at = bytes.len();
            // A connection that waits has no buffer.
            wire.readable().await?;
            bytes.reserve(READ_BYTES);
            if wire.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// The first byte of what is no HTTP/1.
    pub fn first_byte_of_nonsense(&self) -> Option<u8> {
        self.bytes.first().copied().filter(|_| self.request.is_none())
    }

    /// The request, unless it is no HTTP/1.
    pub fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// The request as the answers of HLS take it. `client` is behind the proxies that are trusted. `None` if it is no request.
    pub fn message(&self, client: SocketAddr) -> Option<actix_http::Request> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&self.bytes).ok()?;
        message::of_head(&parsed, origin_form(parsed.path?), client)
    }

    /// The head alone, and what was read behind it, which is the beginning of the next request.
    pub fn split(mut self) -> (Bytes, BytesMut) {
        let size_bytes = self.request.map_or(self.bytes.len(), |request| request.size_bytes);
        let behind = self.bytes.split_off(size_bytes.min(self.bytes.len()));
        (self.bytes.freeze(), behind)
    }

    /// The request, if no other one follows. Bytes behind it are dropped: the framework would answer them.
    pub fn into_last(self) -> Last {
        let (body, closing) = match &self.request {
            Some(request) => (request.body, CLOSE),
            None => (Body::Unknown, &[][..]),
        };
        let (head, behind) = self.split();
        let (body_bytes, left_bytes) = match body {
            Body::None => (0, 0),
            Body::Sized(size_bytes) => {
                let read_bytes = size_bytes.min(behind.len() as u64);
                (read_bytes as usize, size_bytes - read_bytes)
            }
            Body::Unknown => (behind.len(), u64::MAX),
        };
        let (line, headers) = head.split_at(end_of_request_line(&head).unwrap_or_default());
        let front = [line, closing, headers, behind.get(..body_bytes).unwrap_or_default()].concat();
        Last { front: front.into(), left_bytes }
    }
}

/// Returns whether a head may end in `bytes` behind `from`. Line ends may lack their CR.
fn has_end(bytes: &[u8], from: usize) -> bool {
    let tail = bytes.get(from.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|two| two == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// Returns the offset of a head's headers. Empty lines may precede the request's own.
fn end_of_request_line(head: &[u8]) -> Option<usize> {
    let begin = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let length = head.get(begin..)?.iter().position(|byte| *byte == b'\n')?;
    Some(begin + length + 1)
}

pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_MAX_BYTES => Parsed::Partial,
        Ok(httparse::Status::Complete(size_bytes)) if size_bytes <= HEAD_MAX_BYTES => {
            let Some(host) = Headers(request.headers).host(request.version == Some(1)) else {
                return Parsed::Host;
            };
            Request::of(&request, host, size_bytes)
                .map_or(Parsed::Nonsense, |request| Parsed::Request(Box::new(request)))
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Parsed::TooLarge,
        Err(_) => Parsed::Nonsense,
    }
}

impl Request {
    fn of(request: &httparse::Request<'_, '_>, host: &str, size_bytes: usize) -> Option<Self> {
        let method = match request.method? {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let headers = Headers(request.headers);
        let is_http_1_1 = request.version? == 1;
        let upgrade = match method {
            Method::Get if is_http_1_1 => headers.upgrade(),
            _ => Upgrade::None,
        };
        let target = origin_form(request.path?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: Confidential::new(query),
            host: host.to_owned(),
            forwarded_for: headers.list(FORWARDED_FOR),
            authorization: headers.text("authorization").map(Confidential::new),
            user_agent: headers.text("user-agent").map(ToOwned::to_owned),
            is_http_1_1,
            pull: headers.text(PULL_HEADER).map(Confidential::new),
            is_persistent: headers.let_another_follow(is_http_1_1),
            body: headers.body(),
            upgrade,
            size_bytes,
        })
    }
}

struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }

    /// The first header of this name. A value that is no text is none that is known here, but the header is there.
    fn text(&self, name: &str) -> Option<&'h str> {
        self.all(name).next().map(|value| std::str::from_utf8(value).unwrap_or_default())
    }

    /// The host that is asked for; empty if HTTP/1.0 does not say. `None` if HTTP/1.1 does not, if there are several, or if it
    /// has characters that end one in an address: readers of the request could take it for different hosts.
    fn host(&self, is_http_1_1: bool) -> Option<&'h str> {
        let is_inside = |byte: &u8| !byte.is_ascii_whitespace() && !b"/?#@\\".contains(byte);
        let mut hosts = self.all("host");
        match (hosts.next(), hosts.next()) {
            (None, _) => (!is_http_1_1).then_some(""),
            (Some(host), None) if host.iter().all(is_inside) => {
                Some(std::str::from_utf8(host).unwrap_or_default())
            }
            _ => None,
        }
    }

    /// The list that all headers of this name are, in their order (RFC 9110, section 5.3). `None` without any.
    fn list(&self, name: &str) -> Option<String> {
        let text = |value| std::str::from_utf8(value).unwrap_or_default();
        let joined = self.all(name).map(|value| text(value).to_owned());
        joined.reduce(|list, value| format!("{list},{value}"))
    }

    fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Returns whether the head ends the request and not the connection. A body's end is for the framework to find.
    fn let_another_follow(&self, is_http_1_1: bool) -> bool {
        let is_kept = match is_http_1_1 {
            true => !self.has_token("connection", "close"),
            false => self.has_token("connection", "keep-alive"),
        };
        is_kept && self.body() == Body::None && !self.has("upgrade") && !self.has("expect")
    }

    fn body(&self) -> Body {
        let mut lengths = self.all("content-length");
        match (self.has("transfer-encoding"), lengths.next(), lengths.next()) {
            (false, None, _) => Body::None,
            (false, Some(length), None) => {
                match std::str::from_utf8(length.trim_ascii()).ok().and_then(digits::parse) {
                    Some(0) => Body::None,
                    Some(length) => Body::Sized(length),
                    None => Body::Unknown,
                }
            }
            _ => Body::Unknown,
        }
    }

    fn upgrade(&self) -> Upgrade {
        if !self.has_token("upgrade", "websocket") || !self.has_token("connection", "upgrade") {
            return Upgrade::None;
        }
        Upgrade::to_websocket(self.all("sec-websocket-version").next(), self.all("sec-websocket-key").next())
    }
}

/// Path and query of a target, which may be a whole URL as it is sent to proxies (RFC 9112, section 3.2.2).
fn origin_form(target: &str) -> &str {
    let Some(behind_scheme) = target.strip_prefix("http://") else { return target };
    let end_of_host = behind_scheme.find(['/', '?']).and_then(|at| behind_scheme.get(at..));
    end_of_host.filter(|rest| rest.starts_with('/')).unwrap_or("/")
}

#[cfg(test)]
mod tests;
