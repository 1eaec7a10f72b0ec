//! Requests to the web ports of other nodes.

use std::{io, time::Duration};

use synctv_actors::{access::NodeKeys, cluster::origin::PULL_HEADER};
use synctv_media::access::NodeRequest;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most that is read of an answer. The largest are reports: a room with its charts is some 2 KB.
const ANSWER_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// A request in this node's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeCall<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, without line ends.
    pub path: &'a str,
    /// Further headers. Their values have no line ends.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a str,
}

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The reason there is no answer.
#[derive(Debug, Error)]
pub(crate) enum NodeCallError {
    /// It took too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no HTTP.
    #[error("its answer cannot be read")]
    Unreadable,
}

impl NodeCall<'_> {
    /// Asks the node whose web port is at `address`.
    pub async fn send(&self, address: &str, keys: &NodeKeys) -> Result<NodeAnswer, NodeCallError> {
        timeout(TIMEOUT, self.send_in_time(address, keys)).await.unwrap_or(Err(NodeCallError::Timeout))
    }

    async fn send_in_time(&self, address: &str, keys: &NodeKeys) -> Result<NodeAnswer, NodeCallError> {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(self.text(address, keys).as_bytes()).await?;
        let mut answer = Vec::new();
        socket.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await?;
        NodeAnswer::read(&answer)
    }

    /// HTTP/1.0: the answer is neither chunked nor followed by another one.
    fn text(&self, address: &str, keys: &NodeKeys) -> String {
        let Self { method, path, headers, body } = *self;
        let signature = keys.sign(&NodeRequest { method, host: address, path });
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let size =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{PULL_HEADER}: {signature}\r\n{headers}{size}\r\n{body}"
        )
    }
}

impl NodeAnswer {
    fn read(answer: &[u8]) -> Result<Self, NodeCallError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(size_bytes)) = head.parse(answer) else {
            return Err(NodeCallError::Unreadable);
        };
        let body = answer.get(size_bytes..).unwrap_or_default().to_vec();
        head.code.map(|status| Self { status, body }).ok_or(NodeCallError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let answer = NodeAnswer::read(b"HTTP/1.1 404 No\r\nA: b\r\n\r\n{}").unwrap();
        assert_eq!(answer, NodeAnswer { status: 404, body: b"{}".to_vec() });
        for broken in ["HTTP/1.1 200 OK\r\n", "<html>", ""] {
            assert!(NodeAnswer::read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_request_has_its_signature_and_its_body() {
        let keys = NodeKeys::random("n1").unwrap();
        let call = NodeCall { method: "PATCH", path: "/r", headers: &[("If-Match", "\"a\"")], body: "b" };
        let text = call.text("n2:8080", &keys);
        let (line, rest) = text.split_once("\r\n").unwrap();
        assert_eq!(line, "PATCH /r HTTP/1.0");
        assert!(rest.ends_with("\r\nIf-Match: \"a\"\r\nContent-Length: 1\r\n\r\nb"), "{rest}");
        let signature = rest.lines().find_map(|line| line.strip_prefix("synctv-pull: ")).unwrap();
        let signed = NodeRequest { method: "PATCH", host: "n2:8080", path: "/r" };
        assert!(keys.verify(&signed, signature).is_ok());
    }
}
