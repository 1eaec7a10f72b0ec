//! HTTP/1.1 requests as bytes, and their responses.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
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
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Response {
    /// Parses the head at the front of `bytes`, with what follows it as the body; `None` until the head is complete.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(size) = parsed.parse(bytes)? else { return Ok(None) };
        let headers = parsed.headers.iter().map(|header| {
            (header.name.to_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
        });
        Ok(Some(Self {
            status: parsed.code.unwrap_or_default(),
            headers: headers.collect(),
            body: bytes[size..].to_vec(),
        }))
    }

    /// Returns the value of the header of this name, in lower case; empty if there is none.
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

/// Sends a request without a body and reads the response until the server closes the connection.
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

/// Sends bytes and reads the response until the server closes the connection.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Response {
    let mut socket = dial(server);
    socket.write_all(bytes).expect("the server takes the request");
    let mut read = Vec::new();
    socket.read_to_end(&mut read).expect("the server answers and closes");
    let response = Response::parse(&read).expect("the server speaks HTTP");
    response.unwrap_or_else(|| panic!("no response: {:?}", String::from_utf8_lossy(&read)))
}

/// Like [`exchange`]; `None` if the server ends the connection before it has answered.
pub fn try_exchange(server: SocketAddr, bytes: &[u8]) -> Option<Response> {
    let mut socket = dial(server);
    let _ = socket.write_all(bytes);
    let mut read = Vec::new();
    let _ = socket.read_to_end(&mut read);
    Response::parse(&read).expect("the server speaks HTTP")
}

/// Sends a request and reads nothing.
pub fn send_get(socket: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the server takes the request");
}

/// Reads a response's head, and what of the body came with it.
pub fn read_head(socket: &mut TcpStream) -> Response {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(found) = Response::parse(&read).expect("the server speaks HTTP") {
            return found;
        }
        let size = receive(socket, &mut buffer).expect("an answer comes");
        assert_ne!(size, 0, "the connection ended before an answer");
        read.extend_from_slice(&buffer[..size]);
    }
}

/// Reads a response whose length is announced, on a connection that may stay open.
pub fn read_response(socket: &mut TcpStream) -> Response {
    let mut response = read_head(socket);
    let whole: usize = response.header("content-length").parse().expect("the response has a length");
    let came = response.body.len();
    assert!(came <= whole, "more than the announced {whole} bytes");
    response.body.resize(whole, 0);
    socket.read_exact(&mut response.body[came..]).expect("the body comes");
    response
}

/// Why a response cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The connection failed or was closed.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
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
    while read.len() < HEAD_MAX_BYTES {
        if socket.read_buf(&mut read).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if let Some(response) = Response::parse(&read)? {
            return Ok(response);
        }
    }
    Err(HeadError::Endless)
}
