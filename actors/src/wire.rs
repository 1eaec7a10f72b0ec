//! The connection under a viewer, a publisher or an HTTP request.

use std::{
    io::{self, IoSlice, Read},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use nix::{libc, setsockopt_impl, sockopt_impl, sys::socket::setsockopt};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

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
}

impl From<TcpStream> for Wire {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }
}

impl Wire {
    /// Returns the peer's address. Fails if the peer has closed the connection already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// Sets `TCP_NODELAY`: every write is a flush, and none waits for another one.
    pub fn set_nodelay(&self) -> io::Result<()> {
        self.socket().set_nodelay(true)
    }

    /// Registers the connection with the runtime of the current thread, which may not be the one that accepted it.
    pub fn into_current_thread(self) -> io::Result<Self> {
        match self {
            Self::Plain(socket) => Ok(Self::Plain(TcpStream::from_std(socket.into_std()?)?)),
        }
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

    /// Closes the sending side. What the peer still sends can be read.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(self.socket()).shutdown(Shutdown::Write)
    }

    /// Waits until there may be something to read.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Ready when the runtime saw that there is something to read.
    pub fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_read_ready(task)
    }

    /// Ready when the runtime saw that something can be written.
    pub fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_write_ready(task)
    }

    /// Reads what is there after [`poll_read_ready`](Self::poll_read_ready). A read that does not fill the buffer has
    /// drained the socket, and the runtime learns it without the call that would find nothing.
    pub fn read_announced(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self::Plain(socket) = self;
        let mut received = Err(io::ErrorKind::WouldBlock.into());
        // The result for the runtime says only whether to wait for the socket.
        let _ = socket.try_io(Interest::READABLE, || {
            received = (&*SockRef::from(&*socket)).read(buffer);
            match &received {
                Ok(size_bytes) if *size_bytes == buffer.len() => Ok(()),
                Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.kind().into()),
            }
        });
        received
    }

    /// Reads what is there, whether or not the runtime saw it.
    pub fn read_unannounced(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(self.socket())).read(buffer)
    }

    /// Reads what is there. Costs a system call only if the runtime saw something.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket().try_read(buffer)
    }

    /// Writes past the runtime, which would look up what it knows of the socket. After `WouldBlock`,
    /// [`try_write_vectored`](Self::try_write_vectored) lets the runtime know.
    pub fn write_direct(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(self.socket()).send(bytes)
    }

    /// Writes as much as the connection accepts at once.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket().try_write(bytes)
    }

    /// Writes as much of several buffers as the connection accepts at once.
    pub fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket().try_write_vectored(slices)
    }

    fn socket(&self) -> &TcpStream {
        let Self::Plain(socket) = self;
        socket
    }

    fn pin(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        let Self::Plain(socket) = self.get_mut();
        Pin::new(socket)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pin().poll_read(task, out)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pin().poll_write(task, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pin().poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pin().poll_shutdown(task)
    }
}
