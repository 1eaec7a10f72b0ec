//! A viewer's connection, plain or over TLS.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use synctv_testkit::tls::HOST;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

/// A connection to a server.
pub enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsConnection>),
}

/// A connection over TLS.
pub struct TlsConnection {
    socket: TcpStream,
    session: ClientConnection,
    /// The last read filled its buffer.
    may_have_more: bool,
}

impl Connection {
    /// Connects over `tls`, or plain without it.
    pub async fn open(server: SocketAddr, tls: Option<Arc<ClientConfig>>) -> io::Result<Self> {
        let socket = TcpStream::connect(server).await?;
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        let host = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let session = ClientConnection::new(config, host).map_err(io::Error::other)?;
        let mut connection = TlsConnection { socket, session, may_have_more: false };
        connection.shake_hands().await?;
        Ok(Self::Tls(Box::new(connection)))
    }

    /// Has small writes sent at once.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.set_nodelay(true),
            Self::Tls(connection) => connection.socket.set_nodelay(true),
        }
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Ready when there may be something to read.
    pub fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(connection) if connection.may_have_more => Poll::Ready(Ok(())),
            Self::Tls(connection) => connection.socket.poll_read_ready(task),
            Self::Plain(socket) => socket.poll_read_ready(task),
        }
    }

    /// Reads the available bytes.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(buffer),
            Self::Tls(connection) => connection.try_read(buffer),
        }
    }
}

impl TlsConnection {
    async fn shake_hands(&mut self) -> io::Result<()> {
        while self.session.is_handshaking() {
            self.flush().await?;
            if self.session.is_handshaking() {
                self.socket.readable().await?;
                match self.receive() {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|task| self.poll_flush(task)).await
    }

    fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Ready(&self.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_write_ready(task))?;
                }
                written => {
                    written?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes when what was written before is sent.
    fn poll_write(&mut self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(task))?;
        Poll::Ready(self.session.writer().write(bytes))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive()?,
                read => {
                    self.may_have_more = read.as_ref().is_ok_and(|size_bytes| *size_bytes == buffer.len());
                    return read;
                }
            }
        }
    }

    /// Takes in ciphertext that is there, once: the session holds the plaintext of one read. An end without a TLS one is an
    /// error.
    fn receive(&mut self) -> io::Result<()> {
        if self.session.read_tls(&mut Ready(&self.socket))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.session.process_new_packets().map_err(io::Error::other)?;
        Ok(())
    }
}

/// Reads the available bytes, and writes as many as the socket accepts.
struct Ready<'s>(&'s TcpStream);

impl Write for Ready<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        loop {
            match connection.try_read(out.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(connection.poll_read_ready(task))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok(size_bytes) => {
                    out.advance(size_bytes);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(task, bytes),
            Self::Tls(connection) => connection.poll_write(task, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(task),
            Self::Tls(connection) => connection.poll_flush(task),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(task),
            Self::Tls(connection) => Pin::new(&mut connection.socket).poll_shutdown(task),
        }
    }
}
