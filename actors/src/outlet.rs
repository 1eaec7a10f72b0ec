//! The sending half of a viewer's socket: straight to the kernel while it takes everything, through the viewer's queue
//! when it does not.

use std::{
    io::{self, IoSlice},
    rc::Rc,
    time::Instant,
};

use bytes::Bytes;
use synctv_media::{
    batch::{Batch, WireFormat},
    gop::JoinPoint,
    viewer_queue::{Dropped, LagLimits, ViewerQueue},
};
use tokio::{net::TcpStream, task::JoinHandle};

/// How many parts of a queue go into one write.
const SLICES_MAX: usize = 16;

/// A socket, and what it has yet to take.
#[derive(Debug)]
pub struct Outlet {
    socket: Rc<TcpStream>,
    format: WireFormat,
    queue: ViewerQueue,
    sent_bytes: u64,
    waiter: Option<JoinHandle<()>>,
}

impl Outlet {
    /// An outlet of a viewer who has been sent no media yet.
    pub fn new(socket: Rc<TcpStream>, format: WireFormat, now: Instant) -> Self {
        Self { socket, format, queue: ViewerQueue::new(format, now), sent_bytes: 0, waiter: None }
    }

    /// Sends the stream's next batch, or queues what the socket does not take. An error means that the peer is gone.
    pub fn send(&mut self, batch: &Batch, limits: &LagLimits, now: Instant) -> io::Result<()> {
        if self.queue.is_direct() {
            return self.send_direct(batch, limits, now);
        }
        self.queue.push(batch, now);
        self.pump(now)?;
        self.queue.enforce(limits);
        Ok(())
    }

    /// Sends the media that a viewer begins with.
    pub fn join(&mut self, point: &JoinPoint, now: Instant) -> io::Result<()> {
        self.queue.join(point, now);
        self.pump(now)
    }

    /// Sends what belongs to the connection and not to the media.
    pub fn send_control(&mut self, bytes: Bytes, now: Instant) -> io::Result<()> {
        self.queue.push_control(bytes, now);
        self.pump(now)
    }

    /// Batches were lost on their way here.
    pub fn miss(&mut self) {
        self.queue.miss();
    }

    /// Writes until the queue is empty or the socket takes no more.
    pub fn pump(&mut self, now: Instant) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.queue.fill(&mut slices);
            match self.socket.try_write_vectored(&slices[..filled]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// If something waits and nobody is watching for the socket to take more: what `waker` gives is called once it may.
    pub fn watch<W: FnOnce() + 'static>(&mut self, waker: impl FnOnce() -> W) {
        let is_watched = self.waiter.as_ref().is_some_and(|waiter| !waiter.is_finished());
        if self.queue.is_empty() || is_watched {
            return;
        }
        let (socket, wake) = (self.socket.clone(), waker());
        self.waiter = Some(actix_rt::spawn(async move {
            // An error shows at the write that follows.
            let _ = socket.writable().await;
            wake();
        }));
    }

    /// Whether everything was sent.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the peer has taken nothing for too long.
    pub fn is_stalled(&self, limits: &LagLimits, now: Instant) -> bool {
        self.queue.is_stalled(limits, now)
    }

    /// Whether the peer closed its side; what else it sent is thrown away. Costs a system call only if there is something
    /// to read.
    pub fn is_closed_by_peer(&self) -> bool {
        let mut ignored = [0; 1024];
        match self.socket.try_read(&mut ignored) {
            Ok(size_bytes) => size_bytes == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Bytes that wait and belong to the connection.
    pub fn control_bytes(&self) -> usize {
        self.queue.control_bytes()
    }

    /// Bytes that the socket took.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// What the viewer did not get because it was too slow.
    pub fn dropped(&self) -> Dropped {
        self.queue.dropped()
    }

    fn send_direct(&mut self, batch: &Batch, limits: &LagLimits, now: Instant) -> io::Result<()> {
        let bytes = batch.bytes(self.format);
        let sent = match self.socket.try_write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.sent_bytes += sent as u64;
        if sent < bytes.len() {
            self.queue.push_rest(batch, sent, now);
            self.pump(now)?;
            self.queue.enforce(limits);
        }
        Ok(())
    }

    fn advance(&mut self, sent_bytes: usize, now: Instant) {
        self.sent_bytes += sent_bytes as u64;
        self.queue.advance(sent_bytes, now);
    }
}

impl Drop for Outlet {
    /// The waiter holds the socket, which would stay open for as long as its peer takes nothing.
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            waiter.abort();
        }
    }
}
