//! A viewer: reads FLV, and looks at the stamps of its frames.
//!
//! It skips over bodies instead of copying them out, so that a thousand viewers leave the machine to the server.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use rustls::ClientConfig;
use synctv_media::flv::{FILE_HEADER_BYTES, TAG_HEADER_BYTES, TAG_OVERHEAD_BYTES};
use synctv_testkit::http::receive_head;
use tokio::{sync::watch, time::Instant};

use crate::{
    clock::now_us,
    connection::Connection,
    report::{Report, Watched},
    stage::Stage,
    stamp::{STAMP_BYTES, STAMP_OFFSET, Stamp},
};

const VIDEO: u8 = 9;
/// So much of a tag is looked at.
const LOOK_BYTES: usize = TAG_HEADER_BYTES + STAMP_OFFSET + STAMP_BYTES;
pub const READ_BYTES: usize = 64 * 1024;

/// Watches `room` until it is aborted, or the server ends it.
pub async fn watch(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    room: String,
    stages: watch::Receiver<Stage>,
    report: Report,
) {
    let mut watching = Watching::begin(report);
    if let Err(error) = receive(server, tls, &room, stages, &mut watching.watched).await {
        eprintln!("viewer of {room}: {error}");
    }
}

/// Reports what was seen when it is dropped: to wait for the end of the load as well, at each read, would cost the machine
/// that is being measured.
pub struct Watching {
    pub watched: Watched,
    report: Report,
}

impl Watching {
    /// Begins now, for this report.
    pub fn begin(report: Report) -> Self {
        Self { watched: Watched::new(Instant::now()), report }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.report.add(&self.watched);
    }
}

async fn receive(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    room: &str,
    stages: watch::Receiver<Stage>,
    watched: &mut Watched,
) -> std::io::Result<()> {
    let mut socket = Connection::open(server, tls).await?;
    // Of HTTP/1.0, which has no chunks: they cost the server nothing, but the reader something.
    socket.send(format!("GET /{room}.flv HTTP/1.0\r\nHost: load\r\n\r\n").as_bytes()).await?;
    let head = receive_head(&mut socket).await.map_err(std::io::Error::other)?;
    let mut scan = Scan::behind_head();
    scan.take(&head.body, |stamp| watched.frame(stamp, now_us(), false));
    loop {
        poll_fn(|task| socket.poll_read_ready(task)).await?;
        let measuring = *stages.borrow() == Stage::Measuring;
        let size = BUFFER.with_borrow_mut(|buffer| {
            let size = socket.try_read(buffer)?;
            scan.take(&buffer[..size], |stamp| watched.frame(stamp, now_us(), measuring));
            Ok::<_, std::io::Error>(size)
        });
        match size {
            // The floor ends with the load, and over TLS without saying so.
            Ok(0) | Err(_) if *stages.borrow() == Stage::Over => return Ok(()),
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            // A socket that always has more must not keep the others waiting.
            Ok(READ_BYTES) => tokio::task::yield_now().await,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

thread_local! {
    pub static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ_BYTES]);
}

/// Finds the frames in the bytes of a response's body.
struct Scan {
    look: Vec<u8>,
    skip: usize,
    frame: Option<Stamp>,
}

impl Scan {
    fn behind_head() -> Self {
        Self { look: Vec::with_capacity(LOOK_BYTES), skip: FILE_HEADER_BYTES, frame: None }
    }

    /// Calls `seen` with the stamp of each frame that is complete.
    fn take(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Stamp)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip == 0 {
                if let Some(stamp) = self.frame.take() {
                    seen(stamp);
                }
                bytes = self.tag(bytes);
            }
        }
    }

    /// Looks at the front of a tag, once it is there.
    fn tag<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = LOOK_BYTES.min(self.tag_bytes().unwrap_or(LOOK_BYTES)) - self.look.len();
        // The size is in the tag's header, which is looked at alone first.
        let wanted =
            if self.look.len() < TAG_HEADER_BYTES { TAG_HEADER_BYTES - self.look.len() } else { wanted };
        let (front, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.look.extend_from_slice(front);
        if let Some(tag_bytes) = self.tag_bytes()
            && self.look.len() >= LOOK_BYTES.min(tag_bytes)
        {
            self.frame = self.stamp();
            self.skip = tag_bytes - self.look.len();
            self.look.clear();
        }
        rest
    }

    fn tag_bytes(&self) -> Option<usize> {
        let header = self.look.first_chunk::<TAG_HEADER_BYTES>()?;
        Some(TAG_OVERHEAD_BYTES + u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize)
    }

    fn stamp(&self) -> Option<Stamp> {
        let is_frame = self.look.first() == Some(&VIDEO) && self.look.get(TAG_HEADER_BYTES + 1) == Some(&1);
        Stamp::read(self.look.get(LOOK_BYTES - STAMP_BYTES..).filter(|_| is_frame)?)
    }
}
