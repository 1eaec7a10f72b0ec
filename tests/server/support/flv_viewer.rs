//! A viewer over HTTP-FLV, on a blocking socket.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use synctv_media::{
    flv::reader::FlvReader,
    stream::frame::{Frame, Track},
};

use super::{
    PATIENCE,
    http::{Dechunker, Head, split_head},
    is_timeout, now, receive,
    rtmp_peer::dial,
    server::Server,
    wait_no_longer_than,
};

const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// A viewer of a live room.
#[derive(Debug)]
pub struct FlvViewer {
    socket: TcpStream,
    reader: FlvReader,
    chunks: Option<Dechunker>,
    /// How the server answered.
    pub head: Head,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Frame(Frame),
    /// The server closed the connection.
    End,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl FlvViewer {
    /// Watches `/ROOM.flv`.
    pub fn open(server: &Server, room: &str) -> Self {
        Self::open_on(dial(server.http), &format!("/{room}.flv"))
    }

    /// Watches `path` over `socket`, and reads up to the end of the response's head.
    pub fn open_on(mut socket: TcpStream, path: &str) -> Self {
        ask(&mut socket, path);
        Self::of(socket)
    }

    /// Watches over `socket`, on which the request was sent.
    pub fn of(socket: TcpStream) -> Self {
        Self::try_of(socket).unwrap_or_else(|head| panic!("no stream, but {head:?}"))
    }

    /// Watches `/ROOM.flv`, or gives the refusal.
    pub fn try_open(server: &Server, room: &str) -> Result<Self, Head> {
        Self::try_open_at(server.http, room)
    }

    /// Watches `/ROOM.flv` at an address, or gives the refusal.
    pub fn try_open_at(server: SocketAddr, room: &str) -> Result<Self, Head> {
        let mut socket = dial(server);
        ask(&mut socket, &format!("/{room}.flv"));
        Self::try_of(socket)
    }

    /// Watches over `socket`, of which the beginning of the response was read.
    pub fn of_begun(socket: TcpStream, read: Vec<u8>) -> Self {
        Self::try_of_begun(socket, read).unwrap_or_else(|head| panic!("no stream, but {head:?}"))
    }

    fn try_of(socket: TcpStream) -> Result<Self, Head> {
        Self::try_of_begun(socket, Vec::new())
    }

    fn try_of_begun(mut socket: TcpStream, read: Vec<u8>) -> Result<Self, Head> {
        let (head, body) = read_rest_of_head(&mut socket, read);
        if head.status != 200 {
            return Err(head);
        }
        let chunks = (head.header("transfer-encoding") == "chunked").then(Dechunker::default);
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

    /// Whether the body ended in good order, with its last chunk.
    pub fn is_ended(&self) -> bool {
        self.chunks.as_ref().is_some_and(|chunks| chunks.is_ended)
    }

    /// What the FLV header says of audio and video, and the first frame.
    pub fn tracks(&self) -> (bool, bool) {
        self.reader.tracks().expect("the FLV header was read")
    }

    /// The next thing that comes within `limit`.
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

    /// The next frame; `None` at the end of the stream.
    pub fn next_frame(&mut self) -> Option<Frame> {
        match self.next(PATIENCE) {
            Next::Frame(frame) => Some(frame),
            Next::End => None,
            Next::Nothing => panic!("no frame came within {PATIENCE:?}"),
        }
    }

    /// The next frame that is neither metadata nor another data message.
    pub fn next_media(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_frame()?;
            if frame.track != Track::Data {
                return Some(frame);
            }
        }
    }

    /// Frames up to and with the one whose payload is that of `last`.
    pub fn frames_until(&mut self, last: &Frame) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next_frame().expect("the stream goes on");
            let found = frame.payload == last.payload;
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// All frames up to the end of the stream.
    pub fn frames_to_the_end(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next_frame()).collect()
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

/// Sends a viewer's request and reads nothing.
pub fn ask(socket: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the server takes the request");
}

/// Reads a response's head, and gives what of the body came with it.
pub fn read_head(socket: &mut TcpStream) -> (Head, Vec<u8>) {
    read_rest_of_head(socket, Vec::new())
}

fn read_rest_of_head(socket: &mut TcpStream, mut read: Vec<u8>) -> (Head, Vec<u8>) {
    let mut buffer = [0; 4096];
    loop {
        if let Some(found) = split_head(&read) {
            return found;
        }
        let size = receive(socket, &mut buffer).expect("an answer comes");
        assert_ne!(size, 0, "the connection ended before an answer");
        read.extend_from_slice(&buffer[..size]);
    }
}
