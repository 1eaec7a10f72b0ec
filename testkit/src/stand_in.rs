//! Stand-ins for other programs that speak HTTP: services that the server asks, other sites, proxies.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

const HEADERS_MAX: usize = 64;

/// Accepts connections until the test's process ends, each on a thread of its own. Returns the address.
pub fn serve(connection: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    let connection = Arc::new(connection);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = connection.clone();
            thread::spawn(move || connection(socket));
        }
    });
    address
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as GET.
    pub method: String,
    /// The path, with the query.
    pub target: String,
    /// The head, as it was sent, without the request line.
    pub headers: Vec<(String, String)>,
    /// The body, if its length is announced.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the value of the header of this name, in any case; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// Reads the next request, of which `read` has the beginning; `None` if the connection ends or is no HTTP. Bytes
    /// behind it stay in `read`.
    pub fn read(socket: &mut impl Read, read: &mut Vec<u8>) -> Option<Self> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some((request, size_bytes)) = Self::parse(read)? {
                read.drain(..size_bytes);
                return Some(request);
            }
            match socket.read(&mut buffer) {
                Ok(size @ 1..) => read.extend_from_slice(&buffer[..size]),
                _ => return None,
            }
        }
    }

    /// The request at the front of `bytes` and its size, once it is complete; `None` if it is none.
    fn parse(bytes: &[u8]) -> Option<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).ok()? else { return Some(None) };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut request = Self {
            method: parsed.method?.to_owned(),
            target: parsed.path?.to_owned(),
            headers: parsed.headers.iter().map(|it| (it.name.to_owned(), text(it.value))).collect(),
            body: Vec::new(),
        };
        let end = head_bytes + request.header("content-length").parse().unwrap_or(0);
        let Some(body) = bytes.get(head_bytes..end) else { return Some(None) };
        request.body = body.to_vec();
        Some(Some((request, end)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::http::{exchange, request};

    #[test]
    fn requests_are_read_one_after_the_other_with_their_bodies() {
        let address = serve(|mut socket| {
            let mut read = Vec::new();
            while let Some(request) = Request::read(&mut socket, &mut read) {
                let Request { method, target, body, .. } = request;
                let said = format!("{method} {target} {}", String::from_utf8_lossy(&body));
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
                socket.write_all(head.as_bytes()).unwrap();
            }
        });
        assert_eq!(request(address, "GET", "/a?b").text(), "GET /a?b ");
        let two = b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\nabcGET /next HTTP/1.1\r\n\r\n";
        assert_eq!(exchange(address, two).text(), "POST / abc");
    }
}
