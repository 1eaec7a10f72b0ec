//! Plain HTTP requests, as bytes.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
};

use super::{receive, rtmp_peer::dial};

/// A response's first line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Such as 200.
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value; empty if there is none of this name, in lower case.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    /// How it begins.
    pub head: Head,
    /// What follows.
    pub body: String,
}

/// Sends a request without a body and reads the response.
pub fn request(server: SocketAddr, method: &str, path: &str) -> Response {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n\r\n");
    exchange(server, text.as_bytes())
}

/// Sends bytes and reads the response to its end.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Response {
    let mut socket = dial(server);
    socket.write_all(bytes).expect("the server takes the request");
    let mut read = Vec::new();
    read_response(&mut socket, &mut read, bytes.starts_with(b"HEAD "))
}

/// Reads a response, of which `read` has the beginning; what follows it stays there.
pub fn read_response(socket: &mut TcpStream, read: &mut Vec<u8>, is_head: bool) -> Response {
    let mut buffer = [0; 16 * 1024];
    loop {
        let size = receive(socket, &mut buffer).expect("the server answers");
        read.extend_from_slice(&buffer[..size]);
        let found =
            split_head(read).filter(|(head, body)| size == 0 || body.len() >= body_bytes(head, is_head));
        if let Some((head, mut body)) = found {
            *read = body.split_off(body.len().min(body_bytes(&head, is_head)));
            let body = String::from_utf8(body).expect("the body is text");
            return Response { head, body };
        }
        assert_ne!(size, 0, "no response: {read:?}");
    }
}

/// The size of a response's body, without end if only the end of the connection tells it.
fn body_bytes(head: &Head, is_head: bool) -> usize {
    let has_none = is_head || matches!(head.status, 101 | 204 | 304);
    if has_none { 0 } else { head.header("content-length").parse().unwrap_or(usize::MAX) }
}

/// Reads a body in chunks.
#[derive(Debug, Default)]
pub struct Dechunker {
    pending: Vec<u8>,
    /// The chunk that ends the body came.
    pub is_ended: bool,
}

impl Dechunker {
    /// The content in the next bytes of a body.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let mut content = Vec::new();
        while let Some(line_bytes) = self.pending.windows(2).position(|two| two == b"\r\n") {
            let line = std::str::from_utf8(&self.pending[..line_bytes]).expect("a chunk's size is text");
            let size = usize::from_str_radix(line, 16).expect("a chunk's size is hexadecimal");
            let end = line_bytes + 2 + size;
            if self.pending.len() < end + 2 {
                break;
            }
            assert_eq!(&self.pending[end..end + 2], b"\r\n", "a chunk ends where it says");
            content.extend_from_slice(&self.pending[line_bytes + 2..end]);
            self.pending.drain(..end + 2);
            self.is_ended |= size == 0;
        }
        content
    }
}

/// The head at the front of `bytes` and what follows it, once the head is complete.
pub fn split_head(bytes: &[u8]) -> Option<(Head, Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_lowercase(), value.trim().to_owned()))
        .collect();
    Some((Head { status, headers }, bytes[end + 4..].to_vec()))
}
