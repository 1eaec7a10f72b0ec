//! Reports of other nodes.

use std::{io, time::Duration};

use serde_json::value::RawValue;
use synctv_actors::{access::NodeKeys, cluster::origin::PULL_HEADER};
use synctv_media::access::NodeRequest;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The path of a node's own report.
pub(crate) const PATH: &str = "/api/v1/nodes/this";

/// Time limit for a node's report.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most that is read of a report. A room with its charts is some 2 KB.
const REPORT_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// Why a node gave no report.
#[derive(Debug, Error)]
pub(super) enum PeerError {
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it answers with status {0}")]
    Refused(u16),
    #[error("its answer cannot be read")]
    Unreadable,
}

/// Asks the node whose web port is at `address` for its report.
pub(super) async fn ask(address: &str, keys: &NodeKeys) -> Result<Box<RawValue>, PeerError> {
    timeout(TIMEOUT, ask_in_time(address, keys)).await.unwrap_or(Err(PeerError::Timeout))
}

async fn ask_in_time(address: &str, keys: &NodeKeys) -> Result<Box<RawValue>, PeerError> {
    let signature = keys.sign(&NodeRequest { method: "GET", host: address, path: PATH });
    let mut socket = TcpStream::connect(address).await?;
    // HTTP/1.0: the answer is neither chunked nor followed by another one.
    let request = format!("GET {PATH} HTTP/1.0\r\nHost: {address}\r\n{PULL_HEADER}: {signature}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(REPORT_MAX_BYTES).read_to_end(&mut answer).await?;
    report_in(&answer)
}

fn report_in(answer: &[u8]) -> Result<Box<RawValue>, PeerError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let size_bytes = match head.parse(answer) {
        Ok(httparse::Status::Complete(size_bytes)) => size_bytes,
        Ok(httparse::Status::Partial) | Err(_) => return Err(PeerError::Unreadable),
    };
    match (head.code, answer.get(size_bytes..)) {
        (Some(200), Some(body)) => serde_json::from_slice(body).map_err(|_| PeerError::Unreadable),
        (Some(200) | None, _) => Err(PeerError::Unreadable),
        (Some(status), _) => Err(PeerError::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answer: &str) -> Result<String, String> {
        let report = report_in(answer.as_bytes());
        report.map(|report| report.get().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_whole_report_is_passed_on() {
        assert_eq!(
            report("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"node\":\"n\"}"),
            Ok("{\"node\":\"n\"}".to_owned())
        );
        assert_eq!(report("HTTP/1.1 401 No\r\n\r\n{}"), Err("it answers with status 401".to_owned()));
        for broken in ["HTTP/1.1 200 OK\r\n\r\n{\"node\":", "HTTP/1.1 200 OK\r\n", "<html>", ""] {
            assert_eq!(report(broken), Err("its answer cannot be read".to_owned()), "{broken}");
        }
    }
}
