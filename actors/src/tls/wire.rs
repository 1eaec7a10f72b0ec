//! A connection under TLS. Data to send is encrypted into a buffer of the thread and goes to the kernel at once; a
//! connection owns ciphertext only while its socket does not accept it.

use std::{
    cell::RefCell,
    io::{self, IoSlice, Read},
    net::Shutdown,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{io::Interest, net::TcpStream, task::coop};

use super::session::{
    INCOMING_MAX_BYTES, RECORD_MAX_BYTES, SEAL_MAX_BYTES, SEALED_MAX_BYTES, TlsPhase, TlsSession,
};

/// Maximum reads in a row that bring no plaintext. No client that has something to send makes more.
const EMPTY_READS_MAX: usize = 64;

/// The most ciphertext that waits for the socket, in bytes: one call of [`TlsSession::seal`], and what the peer makes the
/// session reply, such as KeyUpdates.
const UNSENT_MAX_BYTES: usize = 2 * SEALED_MAX_BYTES;

thread_local! {
    /// Reads of all connections of a thread go through it, one after the other.
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; INCOMING_MAX_BYTES]);
    /// Writes go through these, the first only if they are of several parts.
    static PLAINTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static CIPHERTEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; SEALED_MAX_BYTES]);
}

/// A connection whose handshake is done. Dropping it says its end to the peer, if the socket accepts that.
#[derive(Debug)]
pub struct TlsWire {
    socket: TcpStream,
    session: TlsSession,
    /// Plaintext that did not fit into the buffer of the last read: less than one record.
    received: BytesMut,
    /// Ciphertext that the socket did not accept. Nothing is encrypted while there is some.
    unsent: BytesMut,
    /// Since when the socket accepts nothing of it.
    blocked_since: Option<Instant>,
    /// The end was said: nothing can be sent any more.
    is_ended: bool,
}

impl TlsWire {
    /// Makes the handshake. The caller limits its time.
    pub async fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = TlsSession::new(config)?;
        let (received, unsent) = (BytesMut::new(), BytesMut::new());
        let mut wire = Self { socket, session, received, unsent, blocked_since: None, is_ended: false };
        while wire.session.phase() == TlsPhase::Handshake || !wire.unsent.is_empty() {
            if !wire.flush()? {
                wire.socket.writable().await?;
            } else if wire.session.phase() == TlsPhase::Handshake {
                wire.socket.readable().await?;
                match wire.advance(&mut [], TcpStream::try_read) {
                    Ok(Advance::Ended) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(wire)
    }

    /// Returns whether the client has agreed to HTTP/2 (RFC 7301, ALPN). It was offered only if the settings say so.
    pub fn is_http_2(&self) -> bool {
        self.session.protocol() == Some(b"h2")
    }

    /// The socket below, for what does not read or write.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Registers the socket with the runtime of the current thread.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        let socket = SockRef::from(&self.socket).try_clone()?;
        self.socket = TcpStream::from_std(socket.into())?;
        Ok(())
    }

    /// Reads plaintext, and for that ciphertext by `receive`. No plaintext is the end of what the peer sends: alerts and
    /// the connection's own messages are handled on the way.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        receive: impl Fn(&TcpStream, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if !self.received.is_empty() {
            let size_bytes = self.received.len().min(buffer.len());
            self.received.split_to(size_bytes).copy_to_slice(&mut buffer[..size_bytes]);
            return Ok(size_bytes);
        }
        for _ in 0..EMPTY_READS_MAX {
            match self.advance(buffer, &receive)? {
                Advance::Read(size_bytes) => return Ok(size_bytes),
                Advance::Ended => return Ok(0),
                Advance::Nothing => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "only empty TLS records come"))
    }

    /// Waits for the first byte of what is read next. `None` at the end.
    pub(crate) async fn peek_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(first) = self.received.first() {
                return Ok(Some(*first));
            }
            self.socket.readable().await?;
            match self.advance(&mut [], TcpStream::try_read) {
                Ok(Advance::Ended) => return Ok(None),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    /// Ready when a read may find something.
    pub(crate) fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_received() { Poll::Ready(Ok(())) } else { self.socket.poll_read_ready(task) }
    }

    /// Returns whether a read finds something without the socket.
    pub(crate) fn has_received(&self) -> bool {
        !self.received.is_empty() || self.session.phase() == TlsPhase::PeerClosed
    }

    /// Encrypts as much as may be ahead of the socket, and returns how much that was: it is on its way then.
    pub(crate) fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.is_ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let plaintext = &plaintext[..plaintext.len().min(SEAL_MAX_BYTES)];
        CIPHERTEXT.with_borrow_mut(|ciphertext| {
            let size_bytes = self.session.seal(plaintext, ciphertext)?;
            self.send(&ciphertext[..size_bytes])
        })?;
        Ok(plaintext.len())
    }

    /// Like [`write`](Self::write), of several parts, which share records.
    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut parts = parts.iter().filter(|part| !part.is_empty());
        match (parts.next(), parts.clone().next()) {
            (None, _) => Ok(0),
            (Some(only), None) => self.write(only),
            (Some(first), Some(_)) => PLAINTEXT.with_borrow_mut(|plaintext| {
                plaintext.clear();
                for part in std::iter::once(first).chain(parts) {
                    let room = SEAL_MAX_BYTES - plaintext.len();
                    plaintext.extend_from_slice(&part[..part.len().min(room)]);
                }
                self.write(plaintext)
            }),
        }
    }

    /// Sends what waits. Returns whether nothing does any more.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.socket.try_write(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size_bytes) => {
                    self.unsent.advance(size_bytes);
                    self.blocked_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_since.get_or_insert_with(now);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        if self.unsent.capacity() > 0 {
            self.unsent = BytesMut::new();
        }
        Ok(true)
    }

    /// Returns whether everything that was encrypted was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Returns whether ciphertext waits, and the peer has accepted none of it for this long.
    pub(crate) fn is_stalled(&self, stall_max: Duration, now: Instant) -> bool {
        self.blocked_since.is_some_and(|since| now.saturating_duration_since(since) >= stall_max)
    }

    /// Sends close_notify behind all that was written. Bytes that do not go out at once wait for
    /// [`flush`](Self::flush).
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_ended, true) {
            return Ok(());
        }
        let mut ciphertext = [0; 256];
        let size_bytes = self.session.seal_end(&mut ciphertext)?;
        let sealed = ciphertext.get(..size_bytes).unwrap_or_default();
        if self.flush()? { self.send(sealed) } else { self.keep(sealed) }
    }

    /// Closes the sending side.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.end()?;
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }

    /// Receives once, and handles what came.
    fn advance(
        &mut self,
        buffer: &mut [u8],
        receive: impl Fn(&TcpStream, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Advance> {
        if self.session.phase() == TlsPhase::PeerClosed {
            return Ok(Advance::Ended);
        }
        let (mut filled, received) = (0, &mut self.received);
        let opened = INCOMING.with_borrow_mut(|incoming| {
            let kept = self.session.restore(incoming);
            // Of what is larger than the buffer, the rest of a record has to be kept.
            let end = incoming.len().min(kept + buffer.len().max(RECORD_MAX_BYTES));
            let received_bytes = receive(&self.socket, &mut incoming[kept..end])?;
            if received_bytes == 0 {
                return Ok(false);
            }
            let take = |plaintext: &[u8]| {
                let (fits, rest) = plaintext.split_at(plaintext.len().min(buffer.len() - filled));
                buffer[filled..filled + fits.len()].copy_from_slice(fits);
                filled += fits.len();
                received.extend_from_slice(rest);
            };
            self.session.open(&mut incoming[..kept + received_bytes], take, &mut self.unsent).map(|()| true)
        });
        // An alert as well, behind an error.
        let flushed = self.flush();
        let has_more = opened?;
        flushed?;
        match (filled, has_more) {
            (1.., _) => Ok(Advance::Read(filled)),
            (0, false) => Ok(Advance::Ended),
            (0, true) if self.unsent.len() > UNSENT_MAX_BYTES => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the peer does not read TLS replies"))
            }
            (0, true) => Ok(Advance::Nothing),
        }
    }

    /// Sends ciphertext past the runtime, which would look up what it knows of the socket.
    fn send(&mut self, ciphertext: &[u8]) -> io::Result<()> {
        let sent = match SockRef::from(&self.socket).send(ciphertext) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.keep(ciphertext.get(sent..).unwrap_or_default())
    }

    /// Keeps ciphertext that the socket did not accept, and lets the runtime know.
    fn keep(&mut self, ciphertext: &[u8]) -> io::Result<()> {
        if !ciphertext.is_empty() {
            self.unsent.extend_from_slice(ciphertext);
            self.flush()?;
        }
        Ok(())
    }
}

/// The effect of receiving once.
enum Advance {
    /// So much plaintext came.
    Read(usize),
    /// The input was not for the reader, or not whole.
    Nothing,
    /// The peer sends nothing more.
    Ended,
}

impl Drop for TlsWire {
    fn drop(&mut self) {
        if matches!(self.session.phase(), TlsPhase::Open | TlsPhase::PeerClosed) {
            // The peer may have disconnected, or read nothing.
            let _ = self.end();
        }
    }
}

impl TlsWire {
    /// Reads plaintext as far as the runtime saw something.
    pub(crate) fn poll_read(&mut self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // Other tasks of the thread get their turn, however much the peer sends.
        let coop = ready!(coop::poll_proceed(task));
        loop {
            match self.read(buffer, TcpStream::try_read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_read_ready(task))?;
                }
                read => {
                    coop.made_progress();
                    return Poll::Ready(read);
                }
            }
        }
    }

    /// Writes, or is woken when that is possible.
    pub(crate) fn poll_write(&mut self, task: &mut Context<'_>, plaintext: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(task))?;
        Poll::Ready(self.write(plaintext))
    }

    /// Like [`poll_write`](Self::poll_write), of several parts, which share records.
    pub(crate) fn poll_write_vectored(
        &mut self,
        task: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(task))?;
        Poll::Ready(self.write_vectored(parts))
    }

    /// Ready when everything was sent.
    pub(crate) fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.flush()? {
            ready!(self.socket.poll_write_ready(task))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads the available bytes, whether or not the runtime saw any.
pub(crate) fn receive_unannounced(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    (&*SockRef::from(socket)).read(buffer)
}

/// Reads the available bytes after the runtime saw some. A read that does not fill the buffer has drained the socket, and
/// the runtime learns it without the call that would find nothing.
pub(crate) fn receive_announced(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut received = Err(io::ErrorKind::WouldBlock.into());
    // The result for the runtime says only whether to wait for the socket.
    let _ = socket.try_io(Interest::READABLE, || {
        received = receive_unannounced(socket, buffer);
        match &received {
            Ok(size_bytes) if *size_bytes == buffer.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.kind().into()),
        }
    });
    received
}

#[allow(clippy::disallowed_methods, reason = "sockets do not run on the tests' paused clock")]
fn now() -> Instant {
    Instant::now()
}
