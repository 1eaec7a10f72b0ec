//! The sending half of a viewer's socket: straight to the kernel while it takes everything, through the viewer's queue
//! when it does not.

mod upgrade;

use std::{
    io::{self, IoSlice},
    sync::Arc,
    task::{self, Wake, Waker},
    time::Instant,
};

use crate::{viewer_session::Delivered, wire::Wire};
use bytes::Bytes;
use synctv_media::stream::{
    batch::Batch,
    gop::JoinPoint,
    viewer_queue::{LagLimits, ViewerQueue},
    wire_format::WireFormat,
};

/// Maximum parts of one vectored write.
const SLICES_MAX: usize = 16;

/// A socket, and what it has yet to take.
#[derive(Debug)]
pub struct ViewerSocket {
    wire: Wire,
    format: WireFormat,
    queue: ViewerQueue,
    sent_bytes: u64,
    /// A waker is called when the socket takes more.
    awaits_writable: bool,
    /// A waker is called when there is something to read.
    awaits_readable: bool,
}

/// The waker that is called when a socket takes more, or has something to read.
struct SocketWaker<W>(W);

impl<W: Fn() + Send + Sync> Wake for SocketWaker<W> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl ViewerSocket {
    /// Makes the socket of a viewer who has been sent no media yet.
    pub fn new(wire: Wire, format: WireFormat, now: Instant) -> Self {
        let queue = ViewerQueue::new(format, now);
        Self { wire, format, queue, sent_bytes: 0, awaits_writable: false, awaits_readable: false }
    }

    /// Brings a connection that another thread accepted to this one, with all that waits for it.
    pub fn into_current_thread(self) -> io::Result<Self> {
        Ok(Self { wire: self.wire.into_current_thread()?, ..self }.for_new_owner())
    }

    /// Forgets who is to be woken: another actor owns the socket from now on.
    pub fn for_new_owner(self) -> Self {
        Self { awaits_writable: false, awaits_readable: false, ..self }
    }

    /// The connection, to read from.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Returns whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.wire.is_tls()
    }

    /// Sends the stream's next media, or queues what the socket does not take. An error: the peer is disconnected.
    ///
    /// One batch that the socket takes whole is what nearly all flushes are to nearly all viewers. All else is in functions
    /// of its own, so that its variables cost that case no registers and no stack.
    pub fn send(&mut self, batches: &[Arc<Batch>], limits: &LagLimits, now: Instant) -> io::Result<()> {
        if !self.queue.is_direct() {
            return self.send_queued(batches, limits, now);
        }
        let [batch] = batches else {
            return self.send_several(batches, limits, now);
        };
        let bytes = batch.bytes(self.format);
        match self.wire.write_direct(bytes) {
            Ok(sent_bytes) if sent_bytes == bytes.len() => {
                self.sent_bytes += sent_bytes as u64;
                Ok(())
            }
            written => self.queue_rest(batches, written, limits, now),
        }
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

    /// Sends FLV tags that belong to the connection and not to the media, if media was sent and more may come.
    pub fn send_tags(&mut self, tags: &[u8], now: Instant) -> io::Result<()> {
        self.queue.push_tags(tags, now);
        self.pump(now)
    }

    /// Drops the media that waits, but for the rest of what was begun. The viewer begins again, as one who has been sent
    /// nothing yet.
    pub fn restart(&mut self) {
        self.queue.restart();
    }

    /// Drops the media that waits, as [`restart`](Self::restart) does, and takes no more until then.
    pub fn pause(&mut self) {
        self.queue.pause();
    }

    /// Sends what ends the media in good order, behind all that waits. Nothing is sent after it.
    pub fn finish(&mut self, now: Instant) -> io::Result<()> {
        self.queue.finish(now);
        self.pump(now)
    }

    /// Counts from 0 again what is sent and dropped.
    pub fn forget_counts(&mut self) {
        self.sent_bytes = 0;
        self.queue.forget_dropped();
    }

    /// Has the system find out whether the peer is still there while nothing is sent to it.
    pub fn keep_alive(&self) {
        if let Err(error) = self.wire.keep_alive() {
            log::debug!(reason:% = error; "SO_KEEPALIVE could not be set");
        }
    }

    /// Batches were lost on their way here.
    pub fn miss(&mut self) {
        self.queue.miss();
    }

    /// Continues to send after the waker of [`notify_writable`](Self::notify_writable) was called.
    pub fn resume(&mut self, now: Instant) -> io::Result<()> {
        self.awaits_writable = false;
        self.pump(now)
    }

    /// If something waits and nothing watches for the socket to take more: what `watcher` gives is called once it may.
    #[inline]
    pub fn notify_writable<W>(&mut self, watcher: impl FnOnce() -> W)
    where
        W: Fn() + Send + Sync + 'static,
    {
        if !self.is_empty() && !self.awaits_writable {
            self.await_writable(watcher);
        }
    }

    #[cold]
    fn await_writable<W>(&mut self, watcher: impl FnOnce() -> W)
    where
        W: Fn() + Send + Sync + 'static,
    {
        self.awaits_writable = true;
        let waker = Waker::from(Arc::new(SocketWaker(watcher())));
        // An error shows at the write that follows.
        if self.wire.poll_write_ready(&mut task::Context::from_waker(&waker)).is_ready() {
            waker.wake();
        }
    }

    /// If the socket is not yet watched for data: `waker`'s waker is called once there may be something to read, or an
    /// end. Then [`read_announced`](Self::read_announced) is to be called.
    pub fn notify_readable<W>(&mut self, waker: impl FnOnce() -> W)
    where
        W: Fn() + Send + Sync + 'static,
    {
        if self.awaits_readable {
            return;
        }
        self.awaits_readable = true;
        let waker = Waker::from(Arc::new(SocketWaker(waker())));
        // An error shows at the read that follows.
        if self.wire.poll_read_ready(&mut task::Context::from_waker(&waker)).is_ready() {
            waker.wake();
        }
    }

    /// The connection, to read once after the waker of [`notify_readable`](Self::notify_readable) was called.
    pub fn read_announced(&mut self) -> &mut Wire {
        self.awaits_readable = false;
        &mut self.wire
    }

    /// Returns whether everything was sent.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.wire.is_flushed()
    }

    /// Returns whether the peer has accepted no bytes for too long.
    pub fn is_stalled(&self, limits: &LagLimits, now: Instant) -> bool {
        match self.wire.is_flushed() {
            true => self.queue.is_stalled(limits, now),
            // The queue waits for what is encrypted already.
            false => self.wire.is_stalled(limits.stall_max, now),
        }
    }

    /// Reads what the peer sent; 0 bytes mean that it sends nothing more. Costs a system call only if there is something
    /// to read.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wire.try_read(buffer)
    }

    /// Fails if the connection broke. A peer that sent its end before is not heard in any other way, unless something is
    /// sent to it.
    pub fn take_error(&self) -> io::Result<()> {
        self.wire.take_error()
    }

    /// Bytes that wait and belong to the connection.
    pub fn control_bytes(&self) -> usize {
        self.queue.control_bytes()
    }

    /// Bytes of live media that wait for the socket.
    pub fn queued_bytes(&self) -> usize {
        self.queue.live_bytes()
    }

    /// Bytes that the socket took.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Returns the amount of media that the viewer was sent, and that it missed because it was too slow.
    pub(crate) fn delivered(&self) -> Delivered {
        Delivered {
            sent_bytes: self.sent_bytes,
            dropped: self.queue.dropped(),
            queue_bytes: self.queued_bytes(),
        }
    }

    /// Writes until the queue is empty or the socket takes no more.
    fn pump(&mut self, now: Instant) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.queue.fill(&mut slices);
            match self.wire.try_write_vectored(&slices[..filled]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.wire.flush()?;
        Ok(())
    }

    /// Sends media behind what waits.
    #[cold]
    fn send_queued(&mut self, batches: &[Arc<Batch>], limits: &LagLimits, now: Instant) -> io::Result<()> {
        for batch in batches {
            self.queue.push(batch, now);
        }
        self.pump(now)?;
        self.queue.enforce(limits);
        Ok(())
    }

    /// Sends as much as fits one write past the queue, and the rest through it.
    #[inline(never)]
    fn send_several(&mut self, batches: &[Arc<Batch>], limits: &LagLimits, now: Instant) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = slices.iter_mut().zip(batches).map(|(slice, batch)| {
            *slice = IoSlice::new(batch.bytes(self.format));
        });
        let filled = filled.count();
        let written = self.wire.try_write_vectored(&slices[..filled]);
        self.queue_rest(batches, written, limits, now)
    }

    /// Queues what the socket did not take of `batches`, and lets the runtime know by another write.
    #[cold]
    fn queue_rest(
        &mut self,
        batches: &[Arc<Batch>],
        written: io::Result<usize>,
        limits: &LagLimits,
        now: Instant,
    ) -> io::Result<()> {
        let mut sent_bytes = match written {
            Ok(sent_bytes) => sent_bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.sent_bytes += sent_bytes as u64;
        for batch in batches {
            let batch_bytes = batch.bytes(self.format).len();
            if sent_bytes < batch_bytes {
                self.queue.push_rest(batch, sent_bytes, now);
            }
            sent_bytes = sent_bytes.saturating_sub(batch_bytes);
        }
        if !self.queue.is_empty() {
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

#[cfg(test)]
mod tests;
