//! Plain HTTP requests, as bytes.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use super::rtmp_peer::dial;

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

/// Sends a request without a body and reads the response until the server closes the connection.
pub fn request(server: SocketAddr, method: &str, path: &str) -> Response {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n\r\n");
    exchange(server, text.as_bytes())
}

/// Sends bytes and reads the response until the server closes the connection.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Response {
    let mut socket = dial(server);
    socket.write_all(bytes).expect("the server takes the request");
    let mut read = Vec::new();
    socket.read_to_end(&mut read).expect("the server answers and closes");
    let (head, body) = split_head(&read).unwrap_or_else(|| panic!("no response: {read:?}"));
    let body = String::from_utf8(body).expect("the body is text");
    Response { head, body }
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
