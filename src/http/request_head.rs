//! The head of a request.

use std::{io, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use synctv_actors::{cluster::origin::PULL_HEADER, wire::Wire};
use synctv_media::access::Confidential;
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
    /// The `Host` header; empty without one.
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
}

/// The result of parsing the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Partial,
    Request(Box<Request>),
    /// No HTTP/1: the framework answers it.
    Nonsense,
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

/// Returns `true` if a head may end in `bytes` behind `from`. Line ends may lack their CR.
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
            Request::of(&request, size_bytes)
                .map_or(Parsed::Nonsense, |request| Parsed::Request(Box::new(request)))
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Parsed::TooLarge,
        Err(_) => Parsed::Nonsense,
    }
}

impl Request {
    fn of(request: &httparse::Request<'_, '_>, size_bytes: usize) -> Option<Self> {
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
            host: headers.text("host").unwrap_or_default().to_owned(),
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

    /// Returns `true` if the head ends the request and not the connection. A body's end is for the framework to find.
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
                // Digits alone, and no sign, which the number's parser takes.
                let digits = Some(length.trim_ascii()).filter(|text| text.iter().all(u8::is_ascii_digit));
                let length = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                length.map_or(
                    Body::Unknown,
                    |length| if length == 0 { Body::None } else { Body::Sized(length) },
                )
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
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        match parse(head.as_bytes()) {
            Parsed::Request(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn head(text: &str) -> RequestHead {
        let Parsed::Request(request) = parse(text.as_bytes()) else { panic!("{text:?} is no request") };
        RequestHead { bytes: text.as_bytes().into(), request: Some(*request) }
    }

    #[test]
    fn a_head_is_complete_with_its_empty_line() {
        let text = "GET /room.flv?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 1..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end]), Parsed::Partial);
            assert!(!has_end(&text.as_bytes()[..end], 0));
        }
        assert!((0..text.len()).all(|from| has_end(text.as_bytes(), from)));
        assert!(has_end(b"GET / HTTP/1.1\n\n", 15));
        let request = request(text);
        assert_eq!((request.method, request.path.as_str()), (Method::Get, "/room.flv"));
        assert_eq!((request.query.expose(), request.host.as_str()), ("x=1", "a"));
        assert!(request.is_http_1_1 && request.pull.is_none() && request.is_persistent);
        assert_eq!((request.size_bytes, request.upgrade), (text.len(), Upgrade::None));
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        for (target, path) in [
            ("/room.flv?x=http://b/c", "/room.flv?x=http://b/c"),
            ("http://host:8080/room.flv?x=1", "/room.flv?x=1"),
            ("http://host", "/"),
            ("http://host?x=/room.flv", "/"),
            ("*", "*"),
        ] {
            assert_eq!(origin_form(target), path);
        }
    }

    #[test]
    fn a_node_is_told_from_a_viewer() {
        let pull = request("GET /room.flv HTTP/1.1\r\nHost: a\r\nsynctv-pull: n1\r\n\r\n").pull;
        assert_eq!(pull, Some(Confidential::new("n1")));
    }

    #[test]
    fn headers_of_one_name_are_one_list() {
        let forwarded = |headers: &str| request(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).forwarded_for;
        assert_eq!(forwarded("Host: a\r\n"), None);
        let two = "X-Forwarded-For: 1.1.1.1\r\nHost: a\r\nX-FORWARDED-FOR: 10.0.0.1, 10.0.0.2\r\n";
        assert_eq!(forwarded(two).as_deref(), Some("1.1.1.1,10.0.0.1, 10.0.0.2"));
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let text =
            "GET /r.flv?token=Q HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: Bearer T\r\nUser-Agent: u\r\n\r\n";
        let request = request(text);
        assert_eq!(request.authorization.as_ref().unwrap().expose(), "Bearer T");
        assert_eq!((request.query.expose(), request.user_agent.as_deref()), ("token=Q", Some("u")));
        let shown = format!("{request:?}");
        assert!(!shown.contains("Bearer") && !shown.contains("token"), "{shown}");
    }

    #[test]
    fn a_connection_persists_as_its_version_and_the_request_say() {
        for (version, headers, is_persistent) in [
            ("1.1", "", true),
            ("1.1", "Content-Length: 0\r\n", true),
            ("1.1", "Connection: Keep-Alive\r\n", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: TE, Close\r\n", false),
            ("1.1", "Content-Length: 3\r\n", false),
            ("1.1", "Content-Length: +0\r\n", false),
            ("1.1", "Content-Length: \r\n", false),
            ("1.1", "Content-Length: 0\r\nContent-Length: 0\r\n", false),
            ("1.1", "Transfer-Encoding: chunked\r\n", false),
            ("1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
            ("1.1", "Expect: 100-continue\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
        ] {
            let text = format!("OPTIONS / HTTP/{version}\r\n{headers}\r\n");
            assert_eq!(request(&text).is_persistent, is_persistent, "{text}");
        }
    }

    #[test]
    fn what_follows_a_head_belongs_to_the_next_request() {
        let (first, behind) = head("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b").split();
        assert_eq!((&first[..], &behind[..]), (&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"[..], &b"GET /b"[..]));
    }

    #[test]
    fn the_last_request_of_a_connection_says_so_and_nothing_follows_it() {
        let closing = "POST / HTTP/1.1\r\nConnection: close\r\n";
        for (headers, behind, expected, left_bytes) in [
            ("A: b\r\n\r\n", "GET /", "A: b\r\n\r\n", 0),
            ("\n", "", "\n", 0),
            ("Content-Length: 3\r\n\r\n", "x", "Content-Length: 3\r\n\r\nx", 2),
            ("Content-Length: 3\r\n\r\n", "abcGET /", "Content-Length: 3\r\n\r\nabc", 0),
            ("Transfer-Encoding: chunked\r\n\r\n", "0", "Transfer-Encoding: chunked\r\n\r\n0", u64::MAX),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{headers}{behind}");
            let Last { front, left_bytes: left } = head(&text).into_last();
            assert_eq!((&front[..], left), (format!("{closing}{expected}").as_bytes(), left_bytes), "{text}");
            assert!(!request(std::str::from_utf8(&front).unwrap()).is_persistent);
        }
        let nonsense = RequestHead { bytes: b"\x16\x03\n\n"[..].into(), request: None };
        assert_eq!(nonsense.into_last().front, b"\x16\x03\n\n"[..]);
    }

    #[test]
    fn what_is_no_http_1_is_left_to_the_framework() {
        for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"PRI * HTTP/2.0\r\n\r\n", b"HELLO\r\n\r\n"] {
            assert_eq!(parse(bytes), Parsed::Nonsense);
        }
    }

    #[test]
    fn a_head_has_a_limit_of_bytes_and_of_headers() {
        let with_cookie = |size| format!("GET /r.flv HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(size));
        let overhead = with_cookie(0).len();
        assert_eq!(request(&with_cookie(HEAD_MAX_BYTES - overhead)).size_bytes, HEAD_MAX_BYTES);
        assert_eq!(parse(with_cookie(HEAD_MAX_BYTES - overhead + 1).as_bytes()), Parsed::TooLarge);
        assert_eq!(parse(&[b"GET /", &[b'a'; HEAD_MAX_BYTES][..]].concat()), Parsed::TooLarge);
        let with_headers = |count| format!("GET /r.flv HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(request(&with_headers(HEADERS_MAX)).is_http_1_1);
        assert_eq!(parse(with_headers(HEADERS_MAX + 1).as_bytes()), Parsed::TooLarge);
    }
}
