//! A connection to the node that publishes a room: one GET, then FLV until it ends.
//!
//! The web framework's client takes the body of such an answer, whose end is the connection's, for an empty one.

use std::{io, time::Duration};

use bytes::BytesMut;
use synctv_media::{
    access::NodeRequest,
    flv::reader::{FlvError, FlvReader},
    stream::{frame::Frame, room::RoomName},
    upgrade::StateError,
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    access::NodeKeys,
    cluster::origin::PULL_HEADER,
    upgrade::{
        lot::{Parked, ParkingLot},
        states::OriginConnectionState,
    },
};

/// Time limit for connecting, and for an answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// The most that is read to find the answer's head.
const HEAD_MAX_BYTES: usize = 8 * 1024;

const HEADERS_MAX: usize = 32;

/// The most that is read at once.
const READ_MAX_BYTES: usize = 16 * 1024;

/// The reason nothing, or nothing more, comes from the origin.
#[derive(Debug, Error)]
pub(super) enum PullError {
    #[error("it does not answer within {} s", OPEN_TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it answers with status {0}")]
    Refused(u16),
    #[error("its answer is not HTTP")]
    NotHttp,
    #[error(transparent)]
    Flv(#[from] FlvError),
    #[error("it ended the stream")]
    Ended,
    #[error("nothing comes from it")]
    Silent,
}

/// A request to an origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The origin's HTTP-FLV port, as `HOST:PORT`.
    pub address: &'a str,
    pub room: &'a RoomName,
    /// Sign the request.
    pub nodes: &'a NodeKeys,
    /// The size of the largest frame that is taken, in bytes.
    pub frame_limit_bytes: usize,
}

/// The connection, once the origin has answered that the media follows.
#[derive(Debug)]
pub(super) struct OriginConnection {
    socket: TcpStream,
    reader: FlvReader,
}

/// A connection without a runtime: it was restored on another thread than its stream's, or is being parked.
#[derive(Debug)]
pub(super) struct RestingConnection {
    socket: std::net::TcpStream,
    reader: FlvReader,
}

impl OriginConnection {
    /// Connects, and reads up to the end of the answer's head.
    pub async fn open(request: Request<'_>) -> Result<Self, PullError> {
        timeout(OPEN_TIMEOUT, Self::ask(request)).await.unwrap_or(Err(PullError::Timeout))
    }

    /// The frames that the next read brings; there may be none yet. Nothing is lost when it is not awaited to its end.
    pub async fn read(&mut self) -> Result<Vec<Frame>, PullError> {
        let frames = self.frames()?;
        if !frames.is_empty() {
            return Ok(frames);
        }
        self.socket.readable().await?;
        let mut bytes = [0; READ_MAX_BYTES];
        match self.socket.try_read(&mut bytes) {
            Ok(0) => Err(PullError::Ended),
            Ok(size_bytes) => {
                self.reader.feed(&bytes[..size_bytes]);
                self.frames()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn ask(request: Request<'_>) -> Result<Self, PullError> {
        let Request { address, room, nodes, frame_limit_bytes } = request;
        let mut socket = TcpStream::connect(address).await?;
        let path = format!("/{room}.flv");
        let signature = nodes.sign(&NodeRequest { method: "GET", host: address, path: &path });
        let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{PULL_HEADER}: {signature}\r\n\r\n");
        socket.write_all(text.as_bytes()).await?;
        let mut bytes = BytesMut::with_capacity(1024);
        let head = loop {
            if socket.read_buf(&mut bytes).await? == 0 {
                return Err(PullError::Ended);
            }
            if let Some(head) = parse_head(&bytes)? {
                break head;
            }
        };
        if head.status != 200 {
            return Err(PullError::Refused(head.status));
        }
        let mut reader = FlvReader::new(frame_limit_bytes);
        reader.feed(&bytes[head.size_bytes..]);
        Ok(Self { socket, reader })
    }

    /// Takes the connection off its runtime, without closing it. Bytes that were read are kept.
    pub fn rest(self) -> io::Result<RestingConnection> {
        Ok(RestingConnection { socket: self.socket.into_std()?, reader: self.reader })
    }

    fn frames(&mut self) -> Result<Vec<Frame>, PullError> {
        let mut frames = Vec::new();
        while let Some(frame) = self.reader.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }
}

impl RestingConnection {
    /// A connection over which an answer's body follows.
    #[cfg(test)]
    pub fn of(socket: std::net::TcpStream, frame_limit_bytes: usize) -> Self {
        Self { socket, reader: FlvReader::new(frame_limit_bytes) }
    }

    /// Resumes on the current thread's runtime.
    pub fn resume(self) -> io::Result<OriginConnection> {
        self.socket.set_nonblocking(true)?;
        Ok(OriginConnection { socket: TcpStream::from_std(self.socket)?, reader: self.reader })
    }

    /// Parks the connection with the bytes that were read and are no whole frame yet.
    pub fn park(self, lot: &ParkingLot) -> OriginConnectionState {
        let reader = lot.with_blobs(|blobs| self.reader.state(blobs));
        OriginConnectionState { descriptor: lot.put(self.socket.into()), reader }
    }

    /// Restores a connection, for frames of up to `frame_limit_bytes`.
    pub fn restore(
        state: OriginConnectionState,
        frame_limit_bytes: usize,
        parked: &Parked,
    ) -> Result<Self, StateError> {
        let socket = parked.take(state.descriptor)?.into();
        Ok(Self { socket, reader: FlvReader::restore(state.reader, frame_limit_bytes, parked.blobs())? })
    }
}

struct ResponseHead {
    status: u16,
    size_bytes: usize,
}

#[cfg(any(test, feature = "testing"))]
pub(super) fn fuzz_head(data: &[u8]) {
    if let Ok(Some(head)) = parse_head(data) {
        assert!(head.size_bytes <= data.len());
    }
}

/// `None` while the head is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<ResponseHead>, PullError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match (response.parse(bytes), response.code) {
        (Ok(httparse::Status::Complete(size_bytes)), Some(status)) => {
            Ok(Some(ResponseHead { status, size_bytes }))
        }
        (Ok(httparse::Status::Partial), _) if bytes.len() < HEAD_MAX_BYTES => Ok(None),
        _ => Err(PullError::NotHttp),
    }
}
