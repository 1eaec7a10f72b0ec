//! Responses over HTTP/1, written past the web framework: it copies each body into a buffer of the connection.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice, Write},
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    http::StatusCode,
};
use synctv_actors::wire::Wire;
use tokio::time::timeout;

/// Room for a head as they are.
const HEAD_BYTES: usize = 512;

thread_local! {
    /// The text of the current second, in seconds since 1970. Formatting it takes longer than all else of a head.
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// The parts of a request that decide on the form of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    /// A request for the head alone.
    pub is_head: bool,
    /// HTTP/1.1, and not 1.0.
    pub is_http_1_1: bool,
    /// The connection ends with the response.
    pub is_last: bool,
}

/// Writes a response: head and body with one call, as far as the socket accepts them. Fails if the peer accepts nothing for
/// `stall_timeout`, and if a body is not to be had whole: then the connection cannot go on.
pub(super) async fn write(
    wire: &mut Wire,
    response: HttpResponse,
    framing: Framing,
    stall_timeout: Duration,
) -> io::Result<()> {
    let head = head(&response, framing)?;
    let body = response.into_body();
    if framing.is_head {
        return write_all(wire, [&head, &[]], stall_timeout).await;
    }
    let body = match body.try_into_bytes() {
        Ok(bytes) => return write_all(wire, [&head, &bytes], stall_timeout).await,
        Err(body) => body,
    };
    let (mut head, mut body) = (&head[..], pin!(body));
    while let Some(piece) = poll_fn(|task| body.as_mut().poll_next(task)).await {
        let piece = piece.map_err(|error| io::Error::other(error.to_string()))?;
        write_all(wire, [std::mem::take(&mut head), &piece], stall_timeout).await?;
    }
    write_all(wire, [head, &[]], stall_timeout).await
}

/// The head. Its length says where the body ends.
fn head(response: &HttpResponse, framing: Framing) -> io::Result<Vec<u8>> {
    let status = response.status();
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let version = if framing.is_http_1_1 { "1.1" } else { "1.0" };
    write!(head, "HTTP/{version} {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default())?;
    if let Some(size_bytes) = announced_bytes(response)? {
        write!(head, "content-length: {size_bytes}\r\n")?;
    }
    match (framing.is_last, framing.is_http_1_1) {
        (true, _) => head.extend_from_slice(b"connection: close\r\n"),
        (false, false) => head.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, true) => {}
    }
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    with_date(|date| write!(head, "date: {date}\r\n\r\n"))?;
    Ok(head)
}

/// The length that a response announces, if it is one that has a body. HLS has no body of unknown length, and one would fail
/// here.
pub(super) fn announced_bytes(response: &HttpResponse) -> io::Result<Option<u64>> {
    match (response.body().size(), response.status()) {
        (BodySize::None, _) | (_, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => Ok(None),
        (BodySize::Sized(size_bytes), _) => Ok(Some(size_bytes)),
        (BodySize::Stream, _) => Err(io::Error::other("a response without a length")),
    }
}

/// Calls `write` with the text of the current second.
pub(super) fn with_date<T>(write: impl FnOnce(&str) -> T) -> T {
    DATE.with_borrow_mut(|date| write(of_now(date)))
}

fn of_now(date: &mut (u64, String)) -> &str {
    let now = now();
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if date.0 != seconds || date.1.is_empty() {
        *date = (seconds, httpdate::fmt_http_date(now));
    }
    &date.1
}

async fn write_all(wire: &mut Wire, mut parts: [&[u8]; 2], stall_timeout: Duration) -> io::Result<()> {
    while parts.iter().any(|part| !part.is_empty()) {
        match wire.try_write_vectored(&parts.map(IoSlice::new)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(size_bytes) => advance(&mut parts, size_bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(stall_timeout, wire.writable()).await??;
            }
            Err(error) => return Err(error),
        }
    }
    // TLS may have accepted bytes that are not sent yet.
    while !wire.flush()? {
        timeout(stall_timeout, wire.writable()).await??;
    }
    Ok(())
}

fn advance(parts: &mut [&[u8]; 2], size_bytes: usize) {
    let [head, body] = parts;
    let of_head = size_bytes.min(head.len());
    *head = &head[of_head..];
    *body = &body[size_bytes - of_head..];
}

#[allow(clippy::disallowed_methods, reason = "a Date header is the wall clock's")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use actix_web::{
        body::{BoxBody, SizedStream},
        http::header,
    };
    use bytes::Bytes;
    use futures::stream;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::http::absent_body::absent;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NEXT: Framing = Framing { is_head: false, is_http_1_1: true, is_last: false };

    async fn connection() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0.into(), peer)
    }

    /// The bytes that a peer receives, without the date.
    async fn written(response: HttpResponse, framing: Framing) -> String {
        let (mut wire, mut peer) = connection().await;
        write(&mut wire, response, framing, PATIENCE).await.unwrap();
        drop(wire);
        let mut text = String::new();
        peer.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let lines = head.split("\r\n").filter(|line| !line.starts_with("date: "));
        format!("{}|{body}", lines.collect::<Vec<_>>().join("|"))
    }

    #[tokio::test]
    async fn a_head_says_where_the_body_ends_and_whether_the_connection_does() {
        let found = || HttpResponse::Ok().insert_header((header::ETAG, "\"a\"")).body("body");
        assert_eq!(written(found(), NEXT).await, "HTTP/1.1 200 OK|content-length: 4|etag: \"a\"|body");
        let last = Framing { is_last: true, ..NEXT };
        let closed = "HTTP/1.1 200 OK|content-length: 4|connection: close|etag: \"a\"|body";
        assert_eq!(written(found(), last).await, closed);
        let old = Framing { is_http_1_1: false, ..NEXT };
        let kept = "HTTP/1.0 200 OK|content-length: 4|connection: keep-alive|etag: \"a\"|body";
        assert_eq!(written(found(), old).await, kept);
    }

    #[tokio::test]
    async fn a_response_without_a_body_has_none_and_may_have_its_length() {
        let of_head = Framing { is_head: true, ..NEXT };
        let head = HttpResponse::Ok().body(absent(7));
        assert_eq!(written(head, of_head).await, "HTTP/1.1 200 OK|content-length: 7|");
        let refused = HttpResponse::NotFound().body("why");
        assert_eq!(written(refused, of_head).await, "HTTP/1.1 404 Not Found|content-length: 3|");
        let known = HttpResponse::NotModified().finish();
        assert_eq!(written(known, NEXT).await, "HTTP/1.1 304 Not Modified|");
        let preflight = HttpResponse::NoContent().finish();
        assert_eq!(written(preflight, NEXT).await, "HTTP/1.1 204 No Content|");
        assert_eq!(written(HttpResponse::Ok().finish(), NEXT).await, "HTTP/1.1 200 OK|content-length: 0|");
    }

    fn pieces(pieces: &'static [Result<&'static str, ()>]) -> HttpResponse {
        let pieces = pieces.iter().map(|piece| match piece {
            Ok(text) => Ok(Bytes::from_static(text.as_bytes())),
            Err(()) => Err(io::Error::other("a disk")),
        });
        HttpResponse::Ok().body(BoxBody::new(SizedStream::new(5, stream::iter(pieces))))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_written_one_after_the_other() {
        let text = written(pieces(&[Ok("ab"), Ok("cde")]), NEXT).await;
        assert_eq!(text, "HTTP/1.1 200 OK|content-length: 5|abcde");
        let (mut wire, _peer) = connection().await;
        let broken = write(&mut wire, pieces(&[Ok("ab"), Err(())]), NEXT, PATIENCE).await;
        assert_eq!(broken.unwrap_err().to_string(), "a disk");
    }

    #[tokio::test]
    async fn what_the_socket_does_not_accept_at_once_follows() {
        let (mut wire, mut peer) = connection().await;
        let body: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
        let response = HttpResponse::Ok().body(body.clone());
        let read = async {
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.map(|_| read)
        };
        let write = async move { write(&mut wire, response, NEXT, PATIENCE).await };
        let ((), read) = tokio::try_join!(write, read).unwrap();
        assert!(read.ends_with(&body) && read.len() < body.len() + HEAD_BYTES);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut wire, _peer) = connection().await;
        let response = HttpResponse::Ok().body(vec![0; 20_000_000]);
        let stalled = write(&mut wire, response, NEXT, Duration::from_millis(50)).await;
        assert_eq!(stalled.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
