//! A viewer over HTTP-FLV, which looks at when frames come and at their timestamps.

use std::{collections::HashMap, error::Error, net::SocketAddr, time::Duration};

use synctv_media::{flv::reader::FlvReader, stream::frame::Track};
use synctv_testkit::{frames, http::receive_head};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

/// More than any tag of the clip.
const TAG_MAX_BYTES: usize = 1024 * 1024;

const READ_BYTES: usize = 64 * 1024;

/// The interval between requests for a room that is not published yet, and their maximum.
const ASK_INTERVAL: Duration = Duration::from_millis(250);
const ASKED_MAX: u32 = 80;

/// A viewer on its one connection.
pub struct Viewer {
    socket: TcpStream,
    reader: FlvReader,
    buffer: Vec<u8>,
    last_at: Instant,
    /// Of each track.
    last_ms: HashMap<Track, u32>,
    pub frames: u64,
    /// The number that an encoder of this program gave its last video frame.
    pub number: Option<u32>,
}

impl Viewer {
    /// Asks for `room` until it is published.
    pub async fn join(http: SocketAddr, room: &str) -> Result<Self, Box<dyn Error>> {
        let mut status = 0;
        for _ in 0..ASKED_MAX {
            let mut socket = TcpStream::connect(http).await?;
            socket.write_all(format!("GET /{room}.flv HTTP/1.0\r\n\r\n").as_bytes()).await?;
            let head = receive_head(&mut socket).await?;
            if head.status == 200 {
                return Ok(Self::on(socket, &head.body));
            }
            status = head.status;
            sleep(ASK_INTERVAL).await;
        }
        Err(format!("http://{http}/{room}.flv: {status}").into())
    }

    fn on(socket: TcpStream, body: &[u8]) -> Self {
        let mut reader = FlvReader::new(TAG_MAX_BYTES);
        reader.feed(body);
        Self {
            socket,
            reader,
            buffer: vec![0; READ_BYTES],
            last_at: Instant::now(),
            last_ms: HashMap::new(),
            frames: 0,
            number: None,
        }
    }

    /// Waits for the next frame, and gives the time since the one before. An error if the server closes the
    /// connection, or if the time of a track runs backwards.
    pub async fn next_frame(&mut self) -> Result<Duration, Box<dyn Error>> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                self.check_time(frame.track, frame.timestamp_ms)?;
                self.frames += 1;
                self.number = frames::number(&frame).or(self.number);
                let now = Instant::now();
                return Ok(now - std::mem::replace(&mut self.last_at, now));
            }
            match self.socket.read(&mut self.buffer).await? {
                0 => return Err("the viewer's connection was closed".into()),
                size => self.reader.feed(&self.buffer[..size]),
            }
        }
    }

    fn check_time(&mut self, track: Track, timestamp_ms: u32) -> Result<(), String> {
        match self.last_ms.insert(track, timestamp_ms) {
            Some(last_ms) if timestamp_ms < last_ms => {
                Err(format!("the viewer's {track:?} went back from {last_ms} ms to {timestamp_ms} ms"))
            }
            _ => Ok(()),
        }
    }
}
