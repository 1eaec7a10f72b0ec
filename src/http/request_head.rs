//! The head of a connection's first request.

use std::io;

use bytes::{Bytes, BytesMut};
use synctv_actors::{cluster::origin::PULL_HEADER, wire::Wire};
use synctv_media::access::Confidential;
use tokio::io::AsyncReadExt;

/// The most that is read to find a request's head. A longer one is the framework's to refuse.
const HEAD_MAX_BYTES: usize = 16 * 1024;

const HEADERS_MAX: usize = 96;

/// What was read of a connection up to the end of the first head, and perhaps beyond. It may hold credentials, so it has
/// no `Debug`.
pub(super) struct RequestHead {
    bytes: BytesMut,
    request: Option<Request>,
}

/// A request that may be for live media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    pub query: Confidential,
    /// The `Host` header; empty without one.
    pub host: String,
    pub authorization: Option<Confidential>,
    pub user_agent: Option<String>,
    /// A node's signature: another node asks, for its own viewers.
    pub pull: Option<Confidential>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    RequestHead,
}

impl RequestHead {
    /// Reads a head. What is no HTTP/1 counts as read: the framework answers it.
    pub async fn read(wire: &mut Wire) -> io::Result<Self> {
        let mut bytes = BytesMut::with_capacity(1024);
        loop {
            if wire.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(request) = parse(&bytes) {
                return Ok(Self { bytes, request });
            }
        }
    }

    /// The request, if it is a GET or HEAD.
    pub fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// Everything that was read.
    pub fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// `None` while the head is not complete, then the request if it is a GET or HEAD.
fn parse(bytes: &[u8]) -> Option<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX_BYTES => None,
        Ok(httparse::Status::Complete(_)) => Some(Request::of(&request)),
        _ => Some(None),
    }
}

impl Request {
    fn of(request: &httparse::Request<'_, '_>) -> Option<Self> {
        let method = match request.method? {
            "GET" => Method::Get,
            "HEAD" => Method::RequestHead,
            _ => return None,
        };
        let target = origin_form(request.path?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // A value that is no text is none of ours, but the header is there.
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            Some(std::str::from_utf8(found.value).unwrap_or_default())
        };
        Some(Self {
            method,
            path: path.to_owned(),
            query: Confidential::new(query),
            host: header("host").unwrap_or_default().to_owned(),
            authorization: header("authorization").map(Confidential::new),
            user_agent: header("user-agent").map(ToOwned::to_owned),
            pull: header(PULL_HEADER).map(Confidential::new),
        })
    }
}

/// Path and query of a target, which may be a whole URL as it is sent to proxies (RFC 9112, section 3.2.2).
fn origin_form(target: &str) -> &str {
    let Some(behind_scheme) = target.strip_prefix("http://") else { return target };
    behind_scheme.find('/').and_then(|at| behind_scheme.get(at..)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, query: &str) -> Request {
        Request {
            method: Method::Get,
            path: path.to_owned(),
            query: Confidential::new(query),
            host: "a".to_owned(),
            authorization: None,
            user_agent: None,
            pull: None,
        }
    }

    #[test]
    fn a_head_is_complete_with_its_empty_line() {
        let head = b"GET /room.flv?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 1..head.len() {
            assert_eq!(parse(&head[..end]), None);
        }
        assert_eq!(parse(head), Some(Some(request("/room.flv", "x=1"))));
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        for (target, path) in [
            ("/room.flv?x=http://b/c", "/room.flv?x=http://b/c"),
            ("http://host:8080/room.flv?x=1", "/room.flv?x=1"),
            ("http://host", "/"),
            ("*", "*"),
        ] {
            assert_eq!(origin_form(target), path);
        }
    }

    #[test]
    fn a_node_is_told_from_a_viewer() {
        let pull = b"GET /room.flv HTTP/1.1\r\nHost: a\r\nsynctv-pull: n1\r\n\r\n";
        let request = Request { pull: Some(Confidential::new("n1")), ..request("/room.flv", "") };
        assert_eq!(parse(pull), Some(Some(request)));
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let head =
            b"GET /r.flv?token=Q HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: Bearer T\r\nUser-Agent: u\r\n\r\n";
        let request = parse(head).unwrap().unwrap();
        assert_eq!(request.authorization.as_ref().unwrap().expose(), "Bearer T");
        assert_eq!((request.query.expose(), request.user_agent.as_deref()), ("token=Q", Some("u")));
        let shown = format!("{request:?}");
        assert!(!shown.contains("Bearer") && !shown.contains("token"), "{shown}");
    }

    #[test]
    fn other_methods_broken_heads_and_long_ones_are_left_to_the_framework() {
        assert_eq!(parse(b"POST /room.flv HTTP/1.1\r\n\r\n"), Some(None));
        assert_eq!(parse(b"\x16\x03\x01\x02\x00"), Some(None));
        assert_eq!(parse(b"PRI * HTTP/2.0\r\n\r\n"), Some(None));
        let long = [b"GET /".as_slice(), &[b'a'; HEAD_MAX_BYTES]].concat();
        assert_eq!(parse(&long), Some(None));
    }
}
