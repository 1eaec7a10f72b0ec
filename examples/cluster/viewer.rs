//! A viewer over HTTP-FLV, which looks at when frames come and at their timestamps.

use std::{collections::HashMap, error::Error, net::SocketAddr, time::Duration};

use synctv_media::{flv::reader::FlvReader, stream::frame::Track};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

/// More than any tag of the clip.
const TAG_MAX_BYTES: usize = 1024 * 1024;

/// More than any head of a response.
const HEAD_MAX_BYTES: usize = 16 * 1024;

const READ_BYTES: usize = 64 * 1024;

/// How often to ask for a room that nobody publishes yet, and how many times.
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
}

impl Viewer {
    /// Asks for `room` until someone publishes it.
    pub async fn join(http: SocketAddr, room: &str) -> Result<Self, Box<dyn Error>> {
        let mut status = String::new();
        for _ in 0..ASKED_MAX {
            let mut socket = TcpStream::connect(http).await?;
            status = ask(&mut socket, room).await?;
            if status.contains(" 200 ") {
                return Ok(Self::on(socket));
            }
            sleep(ASK_INTERVAL).await;
        }
        Err(format!("http://{http}/{room}.flv: {status}").into())
    }

    fn on(socket: TcpStream) -> Self {
        Self {
            socket,
            reader: FlvReader::new(TAG_MAX_BYTES),
            buffer: vec![0; READ_BYTES],
            last_at: Instant::now(),
            last_ms: HashMap::new(),
            frames: 0,
        }
    }

    /// Waits for the next frame, and gives the time since the one before. An error if the server closes the
    /// connection, or if the time of a track runs backwards.
    pub async fn next_frame(&mut self) -> Result<Duration, Box<dyn Error>> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                self.check_time(frame.track, frame.timestamp_ms)?;
                self.frames += 1;
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

/// Asks for a room, and gives the first line of the answer. What follows is FLV if that is 200.
async fn ask(socket: &mut TcpStream, room: &str) -> Result<String, Box<dyn Error>> {
    socket.write_all(format!("GET /{room}.flv HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_MAX_BYTES {
            return Err("the head of the response does not end".into());
        }
        head.push(socket.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}
