//! HTTP/1.1 requests as bytes, and their responses.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::socket::{dial, receive};

const HEADERS_MAX: usize = 32;
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// A response: its head, and what was read of its body. Two are equal whatever the order of their headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Parses the head at the front of `bytes`, with what follows it as the body; `None` until the head is complete.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(size) = parsed.parse(bytes)? else { return Ok(None) };
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for header in parsed.headers.iter() {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            let before = headers.remove(&header.name.to_lowercase());
            let value = before.map_or(value.clone(), |before| format!("{before}, {value}"));
            headers.insert(header.name.to_lowercase(), value);
        }
        Ok(Some(Self { status: parsed.code.unwrap_or_default(), headers, body: bytes[size..].to_vec() }))
    }

    /// Returns the value of the header of this name, in lower case; empty if there is none. Repeated ones are a list (RFC 9110,
    /// section 5.3).
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// Removes the only header that depends on when the response was written, to compare two responses.
    pub fn without_date(mut self) -> Self {
        self.headers.remove("date");
        self
    }
}

/// Sends a request without a body and reads the response.
pub fn request(server: SocketAddr, method: &str, path: &str) -> Response {
    request_with(server, method, path, &[])
}

/// Like [`request`], with further headers.
pub fn request_with(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\nConnection: close\r\n{headers}\r\n"
    );
    exchange(server, text.as_bytes())
}

/// Sends bytes and reads the response.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Response {
    let mut socket = dial(server);
    socket.write_all(bytes).expect("the server takes the request");
    read_response(&mut socket, &mut Vec::new(), bytes.starts_with(b"HEAD "))
}

/// Sends a request and reads nothing.
pub fn send_get(socket: &mut TcpStream, path: &str) {
    send_get_with(socket, path, &[]);
}

/// Like [`send_get`], with further headers.
pub fn send_get_with(socket: &mut TcpStream, path: &str, headers: &[(&str, &str)]) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).expect("the server takes the request");
}

/// Reads a response's head, and what of the body came with it.
pub fn read_head(socket: &mut TcpStream) -> Response {
    read_rest_of_head(socket, Vec::new())
}

/// Reads the rest of a response's head, of which `read` has the beginning, and what of the body came with it.
pub fn read_rest_of_head(socket: &mut TcpStream, mut read: Vec<u8>) -> Response {
    loop {
        if let Some(found) = Response::parse(&read).expect("the server speaks HTTP") {
            return found;
        }
        let size = read_more(socket, &mut read);
        assert_ne!(
            size,
            0,
            "no response, but the end of the connection behind {:?}",
            String::from_utf8_lossy(&read)
        );
    }
}

/// Reads a response, of which `read` has the beginning; what follows it on the connection stays there. The response to a
/// HEAD has no body.
pub fn read_response(socket: &mut TcpStream, read: &mut Vec<u8>, is_head: bool) -> Response {
    let mut response = read_rest_of_head(socket, std::mem::take(read));
    let mut body = std::mem::take(&mut response.body);
    match body_end(&response, is_head) {
        BodyEnd::Bytes(size) => {
            while body.len() < size {
                assert_ne!(read_more(socket, &mut body), 0, "a whole body: {response:?}");
            }
            *read = body.split_off(size);
        }
        BodyEnd::Chunk => {
            let mut chunks = Dechunker::default();
            let mut content = chunks.feed(&body);
            while !chunks.is_ended {
                body.clear();
                assert_ne!(read_more(socket, &mut body), 0, "a whole body: {response:?}");
                content.extend(chunks.feed(&body));
            }
            (body, *read) = (content, chunks.pending);
        }
        BodyEnd::Connection => while read_more(socket, &mut body) > 0 {},
    }
    Response { body, ..response }
}

fn read_more(socket: &mut TcpStream, read: &mut Vec<u8>) -> usize {
    let mut buffer = [0; 16 * 1024];
    let size = receive(socket, &mut buffer).expect("the server answers");
    read.extend_from_slice(&buffer[..size]);
    size
}

/// The end of a response's body.
#[derive(Debug, PartialEq, Eq)]
enum BodyEnd {
    Bytes(usize),
    Chunk,
    Connection,
}

fn body_end(response: &Response, is_head: bool) -> BodyEnd {
    if is_head || matches!(response.status, 101 | 204 | 304) {
        BodyEnd::Bytes(0)
    } else if response.header("transfer-encoding") == "chunked" {
        BodyEnd::Chunk
    } else {
        response.header("content-length").parse().map_or(BodyEnd::Connection, BodyEnd::Bytes)
    }
}

/// Reads a body in chunks (RFC 9112, section 7.1).
#[derive(Debug, Default)]
pub struct Dechunker {
    pending: Vec<u8>,
    /// `true` if the chunk that ends the body came.
    pub is_ended: bool,
}

impl Dechunker {
    /// Returns the content in the next bytes of a body.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let mut content = Vec::new();
        while !self.is_ended {
            let Some(line_bytes) = self.pending.windows(2).position(|two| two == b"\r\n") else { break };
            let line = std::str::from_utf8(&self.pending[..line_bytes]).expect("a chunk's size is text");
            let size = usize::from_str_radix(line, 16).expect("a chunk's size is hexadecimal");
            let end = line_bytes + 2 + size;
            if self.pending.len() < end + 2 {
                break;
            }
            assert_eq!(&self.pending[end..end + 2], b"\r\n", "a chunk ends where its size says");
            content.extend_from_slice(&self.pending[line_bytes + 2..end]);
            self.pending.drain(..end + 2);
            self.is_ended = size == 0;
        }
        content
    }
}

/// The reason a response cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The connection failed or was closed.
    #[error("connection: {0}")]
    Connection(#[from] io::Error),
    /// It is not HTTP.
    #[error("not HTTP: {0}")]
    Syntax(#[from] httparse::Error),
    /// Its head is too long.
    #[error("no end of the head")]
    Endless,
}

/// Like [`read_head`], for programs that must not panic.
pub async fn receive_head(socket: &mut (impl AsyncRead + Unpin)) -> Result<Response, HeadError> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while read.len() < HEAD_MAX_BYTES {
        match socket.read(&mut buffer).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            size => read.extend_from_slice(&buffer[..size]),
        }
        if let Some(response) = Response::parse(&read)? {
            return Ok(response);
        }
    }
    Err(HeadError::Endless)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The client's end of a connection on which `bytes` are sent before it is closed.
    fn answered_with(bytes: &[u8]) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = dial(listener.local_addr().unwrap());
        listener.accept().unwrap().0.write_all(bytes).unwrap();
        client
    }

    #[test]
    fn responses_end_by_length_by_chunk_and_without_a_body() {
        let mut socket = answered_with(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
              HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n\
              HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
              HTTP/1.1 404 Not Found\r\nX-Y:  z \r\n\r\nto the end",
        );
        let mut read = Vec::new();
        let bodies = [false, false, false, true, false].map(|is_head| {
            let response = read_response(&mut socket, &mut read, is_head);
            (response.status, response.text(), response.header("x-y").to_owned())
        });
        let expected =
            [(200, "abc", ""), (304, "", ""), (200, "def", ""), (200, "", ""), (404, "to the end", "z")];
        assert_eq!(
            bodies,
            expected.map(|(status, text, header)| (status, text.to_owned(), header.to_owned()))
        );
    }

    #[test]
    #[should_panic(expected = "a whole body")]
    fn a_body_that_breaks_off_is_noticed() {
        let mut socket = answered_with(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc");
        read_response(&mut socket, &mut Vec::new(), false);
    }
}
