//! HTTP as players use it: one request after the other on one connection.

use std::{cell::RefCell, io, net::SocketAddr, time::Duration};

use synctv_testkit::http::{HeadError, Response, receive_head};
use thiserror::Error;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// The server answers a request for a stream's first segment within 10 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 64 * 1024;

/// The reason a request counts as failed.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("connection: {0}")]
    Connection(#[from] io::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error("status {0}")]
    Status(u16),
    #[error("no length announced")]
    NoLength,
    #[error("a body shorter than announced")]
    Short,
    #[error("a body longer than announced")]
    Long,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200, with the tag of this version.
    Content { tag: Option<String> },
    /// 304: there is no other version yet.
    Unchanged,
}

/// Keeps its connection; makes a new one after a failure.
pub struct Client {
    server: SocketAddr,
    socket: Option<TcpStream>,
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        Self { server, socket: None }
    }

    /// Asks for what is at `path`, unless it is still the version with the tag `known`. Calls `take` with the body's
    /// bytes as they arrive, also with those of an answer that turns out to be broken.
    pub async fn get(
        &mut self,
        path: &str,
        known: Option<&str>,
        take: impl FnMut(&[u8]),
    ) -> Result<Answer, HttpError> {
        let exchange = self.exchange(path, known, take);
        timeout(REQUEST_TIMEOUT, exchange).await.unwrap_or(Err(HttpError::TimedOut))
    }

    async fn exchange(
        &mut self,
        path: &str,
        known: Option<&str>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Answer, HttpError> {
        // It comes back only from a whole answer: what is left of another would be taken for the next one.
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => TcpStream::connect(self.server).await?,
        };
        let condition = known.map(|tag| format!("If-None-Match: {tag}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: load\r\n{condition}\r\n");
        socket.write_all(request.as_bytes()).await?;
        let head = receive_head(&mut socket).await?;
        let mut missing = body_bytes(&head)?.checked_sub(head.body.len()).ok_or(HttpError::Long)?;
        take(&head.body);
        while missing > 0 {
            let size = read(&socket, &mut take).await.map_err(cut_short)?;
            missing = missing.checked_sub(size).ok_or(HttpError::Long)?;
        }
        let keeps_alive = !head.header("connection").eq_ignore_ascii_case("close");
        self.socket = keeps_alive.then_some(socket);
        match head.status {
            200 => Ok(Answer::Content {
                tag: Some(head.header("etag").to_owned()).filter(|tag| !tag.is_empty()),
            }),
            304 => Ok(Answer::Unchanged),
            status => Err(HttpError::Status(status)),
        }
    }
}

/// The size of the body behind a head.
fn body_bytes(head: &Response) -> Result<usize, HttpError> {
    match head.status {
        // It has no body, whatever it announces.
        304 => Ok(0),
        _ => head.header("content-length").parse().map_err(|_| HttpError::NoLength),
    }
}

fn cut_short(error: io::Error) -> HttpError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HttpError::Short,
        _ => error.into(),
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Reads once, into a buffer that all share: a thousand viewers leave the machine to the server.
async fn read(socket: &TcpStream, take: &mut impl FnMut(&[u8])) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        let size = BUFFER.with_borrow_mut(|buffer| {
            let size = socket.try_read(buffer)?;
            take(&buffer[..size]);
            Ok::<_, io::Error>(size)
        });
        match size {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // A socket that always has more must not keep the others waiting.
            Ok(READ_BYTES) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            _ => {}
        }
        return size;
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    /// A client's reading of an answer, and of its end.
    async fn get(answer: &'static str) -> (Result<Answer, String>, Vec<u8>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = Client::new(listener.local_addr().unwrap());
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 1024]).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        };
        let mut body = Vec::new();
        let (answer, ()) = tokio::join!(client.get("/", None, |bytes| body.extend_from_slice(bytes)), serve);
        (answer.map_err(|error| error.to_string()), body, client.socket.is_some())
    }

    #[tokio::test]
    async fn whole_answers_keep_the_connection() {
        let (answer, body, is_kept) =
            get("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\nabc").await;
        assert_eq!(answer, Ok(Answer::Content { tag: Some("\"1\"".to_owned()) }));
        assert!(body == b"abc" && is_kept);
        let (answer, _, is_kept) = get("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n").await;
        assert!(answer == Ok(Answer::Unchanged) && is_kept);
    }

    #[tokio::test]
    async fn broken_answers_are_errors() {
        let cases = [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
            ("HTTP/1.1 200 OK\r\n\r\nabc", "no length announced"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", "a body shorter than announced"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "a body longer than announced"),
            ("HTTP/1.1 200 OK\r\nContent-Le", "connection: unexpected end of file"),
            ("RTSP/1.0 200 OK\r\n\r\n", "not HTTP: invalid HTTP version"),
        ];
        for (answer, expected) in cases {
            assert_eq!(get(answer).await.0, Err(expected.to_owned()));
        }
    }
}
