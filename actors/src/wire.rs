//! The connection under a viewer, a publisher or an HTTP request.

use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use log::debug;
use nix::{libc, setsockopt_impl, sockopt_impl, sys::socket::setsockopt};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::tls::{TlsWire, receive_announced, receive_unannounced};

sockopt_impl!(
    /// Bytes that must have arrived for a socket to count as readable.
    ReceiveLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    i32
);

/// The probes of [`Wire::keep_alive`]: a peer that answers none of them for some two minutes counts as disconnected.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// A connection to a peer. An enum and not a trait object: what a frame costs on a plain connection is one system call, and
/// a branch that is always predicted is all that may be added to it.
#[derive(Debug)]
pub enum Wire {
    /// TCP without encryption.
    Plain(TcpStream),
    /// TLS. In a box: it is large, and most viewers may have none.
    Tls(Box<TlsWire>),
}

impl From<TcpStream> for Wire {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }
}

impl From<TlsWire> for Wire {
    fn from(wire: TlsWire) -> Self {
        Self::Tls(Box::new(wire))
    }
}

impl Wire {
    /// Returns whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Returns the peer's address. Fails if the peer has closed the connection already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// Sets `TCP_NODELAY`: every write is a flush, and none waits for another one. A connection that does not take the option is
    /// served all the same; `peer` is for the log.
    pub fn set_nodelay(&self, peer: SocketAddr) {
        if let Err(error) = self.socket().set_nodelay(true) {
            debug!(peer:% = peer, reason:% = error; "TCP_NODELAY could not be set");
        }
    }

    /// Registers the connection with the runtime of the current thread, which may not be the one that accepted it.
    pub fn into_current_thread(self) -> io::Result<Self> {
        match self {
            Self::Plain(socket) => Ok(Self::Plain(TcpStream::from_std(socket.into_std()?)?)),
            Self::Tls(mut wire) => {
                wire.settle()?;
                Ok(Self::Tls(wire))
            }
        }
    }

    /// Takes the connection off its runtime, without closing it. Fails over TLS, whose keys stay behind.
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self {
            Self::Plain(socket) => Ok(socket.into_std()?.into()),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Makes a plain connection of its descriptor, on the runtime of the current thread.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpStream::from(descriptor);
        socket.set_nonblocking(true)?;
        Ok(Self::Plain(TcpStream::from_std(socket)?))
    }

    /// Makes the socket count as readable only once it holds this much, or has ended or failed. `SO_RCVLOWAT`.
    pub fn set_receive_low_water(&self, size_bytes: i32) -> io::Result<()> {
        Ok(setsockopt(self.socket(), ReceiveLowWater, &size_bytes)?)
    }

    /// Has the system find out whether the peer is still there while nothing is sent to it. `SO_KEEPALIVE`.
    pub fn keep_alive(&self) -> io::Result<()> {
        SockRef::from(self.socket()).set_tcp_keepalive(&KEEP_ALIVE)
    }

    /// Fails if the connection broke. `SO_ERROR`.
    pub fn take_error(&self) -> io::Result<()> {
        self.socket().take_error()?.map_or(Ok(()), Err)
    }

    /// Closes the sending side. Data that the peer still sends can be read.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => SockRef::from(&*socket).shutdown(Shutdown::Write),
            Self::Tls(wire) => wire.shutdown_write(),
        }
    }

    /// Waits for the first byte of what the peer sends next, which stays to be read. `None` at the end.
    pub async fn peek_byte(&mut self) -> io::Result<Option<u8>> {
        match self {
            Self::Plain(socket) => {
                let mut first = [0];
                let peeked = socket.peek(&mut first).await?;
                Ok(first.first().copied().filter(|_| peeked > 0))
            }
            Self::Tls(wire) => wire.peek_byte().await,
        }
    }

    /// Waits until there may be something to read.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tls(wire) if wire.has_received() => Ok(()),
            _ => self.socket().readable().await,
        }
    }

    /// Waits until something can be written.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket().writable().await
    }

    /// Ready when the runtime saw that there is something to read.
    pub fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(task),
            Self::Tls(wire) => wire.poll_read_ready(task),
        }
    }

    /// Ready when the runtime saw that something can be written.
    pub fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_write_ready(task)
    }

    /// Reads the available bytes after [`poll_read_ready`](Self::poll_read_ready). A read that does not fill the buffer has
    /// drained the socket, and the runtime learns it without the call that would find nothing.
    pub fn read_announced(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => receive_announced(socket, buffer),
            Self::Tls(wire) => wire.read(buffer, receive_announced),
        }
    }

    /// Reads the available bytes, whether or not the runtime saw any.
    pub fn read_unannounced(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => receive_unannounced(socket, buffer),
            Self::Tls(wire) => wire.read(buffer, receive_unannounced),
        }
    }

    /// Reads the available bytes. Costs a system call only if the runtime saw some.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(buffer),
            Self::Tls(wire) => wire.read(buffer, TcpStream::try_read),
        }
    }

    /// Writes past the runtime, which would look up what it knows of the socket. After `WouldBlock`,
    /// [`try_write_vectored`](Self::try_write_vectored) lets the runtime know.
    pub fn write_direct(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => SockRef::from(&*socket).send(bytes),
            Self::Tls(wire) => wire.write(bytes),
        }
    }

    /// Writes as much as the connection accepts at once. Over TLS that is what was encrypted, of which a part may wait to
    /// be sent: see [`flush`](Self::flush).
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(wire) => wire.write(bytes),
        }
    }

    /// Like [`try_write`](Self::try_write), of several buffers.
    pub fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(slices),
            Self::Tls(wire) => wire.write_vectored(slices),
        }
    }

    /// Sends what was encrypted and waits. Returns whether nothing does any more.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(wire) => wire.flush(),
        }
    }

    /// Returns whether nothing that was written waits to be sent.
    pub fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(wire) => wire.is_flushed(),
        }
    }

    /// Returns whether written data waits, and the peer has accepted none of it for this long.
    pub fn is_stalled(&self, stall_max: Duration, now: Instant) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(wire) => wire.is_stalled(stall_max, now),
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(wire) => wire.socket(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(task, out),
            Self::Tls(wire) => {
                let size_bytes = ready!(wire.poll_read(task, out.initialize_unfilled()))?;
                out.advance(size_bytes);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(task, bytes),
            Self::Tls(wire) => wire.poll_write(task, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(task, slices),
            Self::Tls(wire) => wire.poll_write_vectored(task, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(task),
            Self::Tls(wire) => wire.poll_flush(task),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(task),
            Self::Tls(wire) => {
                wire.end()?;
                ready!(wire.poll_flush(task))?;
                Poll::Ready(wire.shutdown_write())
            }
        }
    }
}
