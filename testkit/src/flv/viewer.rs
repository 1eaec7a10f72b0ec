//! A viewer over HTTP-FLV, on a blocking socket.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use synctv_media::{
    flv::reader::FlvReader,
    stream::frame::{Frame, Track},
};

use crate::{
    http::{Dechunker, Response, read_rest_of_head, send_get},
    room_history::{self, FrameSource},
    server::TestServer,
    socket::{dial, is_timeout, receive, wait_no_longer_than},
    wait::{PATIENCE, now},
};

const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// A viewer of a live room.
#[derive(Debug)]
pub struct FlvViewer {
    socket: TcpStream,
    reader: FlvReader,
    chunks: Option<Dechunker>,
    /// The head of the response.
    pub head: Response,
}

/// The next input.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The server sent a frame.
    Frame(Frame),
    /// The server closed the connection.
    End,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl FlvViewer {
    /// Watches `/ROOM.flv`.
    pub fn open(server: &TestServer, room: &str) -> Self {
        Self::open_on(dial(server.http), &format!("/{room}.flv"))
    }

    /// Watches `path` over `socket`, and reads up to the end of the response's head.
    pub fn open_on(mut socket: TcpStream, path: &str) -> Self {
        send_get(&mut socket, path);
        Self::of(socket)
    }

    /// Watches over `socket`, on which the request was sent.
    pub fn of(socket: TcpStream) -> Self {
        Self::try_of(socket).unwrap_or_else(|head| panic!("no stream, but {head:?}"))
    }

    /// Watches `/ROOM.flv`; the error is the refusal.
    pub fn try_open(server: &TestServer, room: &str) -> Result<Self, Response> {
        Self::try_open_at(server.http, room)
    }

    /// Watches `/ROOM.flv` at an address; the error is the refusal.
    pub fn try_open_at(server: SocketAddr, room: &str) -> Result<Self, Response> {
        let mut socket = dial(server);
        send_get(&mut socket, &format!("/{room}.flv"));
        Self::try_of(socket)
    }

    /// Watches over `socket`, of whose response `read` is the beginning.
    pub fn of_begun(socket: TcpStream, read: Vec<u8>) -> Self {
        Self::try_of_begun(socket, read).unwrap_or_else(|head| panic!("no stream, but {head:?}"))
    }

    fn try_of(socket: TcpStream) -> Result<Self, Response> {
        Self::try_of_begun(socket, Vec::new())
    }

    fn try_of_begun(mut socket: TcpStream, read: Vec<u8>) -> Result<Self, Response> {
        let head = read_rest_of_head(&mut socket, read);
        if head.status != 200 {
            return Err(head);
        }
        let chunks = (head.header("transfer-encoding") == "chunked").then(Dechunker::default);
        let body = head.body.clone();
        let mut viewer = Self { socket, reader: FlvReader::new(BODY_LIMIT_BYTES), chunks, head };
        viewer.feed(&body);
        Ok(viewer)
    }

    fn feed(&mut self, body: &[u8]) {
        match &mut self.chunks {
            Some(chunks) => self.reader.feed(&chunks.feed(body)),
            None => self.reader.feed(body),
        }
    }

    /// Returns whether the body ended with its last chunk.
    pub fn is_ended(&self) -> bool {
        self.chunks.as_ref().is_some_and(|chunks| chunks.is_ended)
    }

    /// Returns whether the FLV header announces audio and video.
    pub fn tracks(&self) -> (bool, bool) {
        self.reader.tracks().expect("the FLV header was read")
    }

    /// Waits up to `limit` for what comes next.
    pub fn next(&mut self, limit: Duration) -> Next {
        let deadline = now() + limit;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.reader.next_frame().expect("the body is FLV") {
                return Next::Frame(frame);
            }
            wait_no_longer_than(&self.socket, deadline);
            match receive(&mut self.socket, &mut buffer) {
                Ok(0) => return Next::End,
                Ok(size) => self.feed(&buffer[..size]),
                Err(error) if is_timeout(&error) => return Next::Nothing,
                Err(error) => panic!("reading of the server: {error}"),
            }
        }
    }

    /// Waits for the next frame; `None` at the end of the stream.
    pub fn next_frame(&mut self) -> Option<Frame> {
        match self.next(PATIENCE) {
            Next::Frame(frame) => Some(frame),
            Next::End => None,
            Next::Nothing => panic!("no frame came within {PATIENCE:?}"),
        }
    }

    /// Waits for the next frame that is neither metadata nor another data message.
    pub fn next_media(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_frame()?;
            if frame.track != Track::Data {
                return Some(frame);
            }
        }
    }

    /// Waits for frames up to and with the one whose payload is that of `last`.
    pub fn frames_until(&mut self, last: &Frame) -> Vec<Frame> {
        room_history::frames_until(self, last)
    }

    /// Waits for all frames up to the end of the stream.
    pub fn frames_to_the_end(&mut self) -> Vec<Frame> {
        room_history::frames_to_the_end(self)
    }
}

/// Disconnects with a reset, which the server notices at once. After a mere FIN the viewer might still read, and the server
/// finds out with its next writes.
impl Drop for FlvViewer {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

impl FrameSource for FlvViewer {
    fn next_frame(&mut self) -> Option<Frame> {
        self.next_frame()
    }
}
