//! A connection with the bytes in front that were read of it already: what the framework gets to answer a request.
//!
//! The framework would read on behind a request, and answer 404 to one for live media that comes there. So it is lent the
//! connection for one request at a time, which ends for it with the request; the socket comes back when it lets go.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use synctv_actors::wire::Wire;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::request_head::Last;

/// The place to which a lent socket returns.
pub(super) type Returned = Rc<RefCell<Option<Wire>>>;

/// A connection, as far as one request goes.
#[derive(Debug)]
pub(crate) struct Rewind {
    /// Read already.
    front: Bytes,
    /// There until this is dropped.
    wire: Option<Wire>,
    scope: Scope,
}

#[derive(Debug)]
enum Scope {
    /// The front is all there is to read, and the connection outlives it.
    Request(Returned),
    /// This many bytes may be read after the front until `late`; then the connection ends.
    Last { left_bytes: u64, late: Option<Pin<Box<Sleep>>> },
}

/// Time limit for the body of a last request: longer than any answer waits for one. The framework waits for the end of a body also
/// behind its answer, and a chunked one may have none.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read at once behind the front, in bytes.
const READ_MAX_BYTES: usize = 4096;

impl Rewind {
    /// Lends `wire` for the request in `front`.
    pub(super) fn of_request(front: Bytes, wire: Wire) -> (Self, Returned) {
        let returned = Returned::default();
        let scope = Scope::Request(returned.clone());
        (Self { front, wire: Some(wire), scope }, returned)
    }

    /// Gives `wire` away for its last request.
    pub(super) fn of_last(last: Last, wire: Wire) -> Self {
        let Last { front, left_bytes } = last;
        let late = (left_bytes > 0).then(|| Box::pin(sleep(BODY_TIMEOUT)));
        Self { front, wire: Some(wire), scope: Scope::Last { left_bytes, late } }
    }

    fn wire(&mut self) -> io::Result<Pin<&mut Wire>> {
        self.wire.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Rewind {
    fn poll_read_behind(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Scope::Last { left_bytes, late } = &mut self.scope else { return Poll::Ready(Ok(())) };
        if late.as_mut().is_some_and(|late| late.as_mut().poll(cx).is_ready()) {
            (*left_bytes, *late) = (0, None);
        }
        let mut bytes = [0; READ_MAX_BYTES];
        let room = out.remaining().min(usize::try_from(*left_bytes).unwrap_or(usize::MAX)).min(bytes.len());
        let mut read = ReadBuf::new(&mut bytes[..room]);
        if room > 0 {
            ready!(self.wire()?.poll_read(cx, &mut read))?;
        }
        out.put_slice(read.filled());
        if let Scope::Last { left_bytes, .. } = &mut self.scope {
            *left_bytes -= read.filled().len() as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Rewind {
    fn drop(&mut self) {
        if let Scope::Request(returned) = &self.scope {
            *returned.borrow_mut() = self.wire.take();
        }
    }
}

impl AsyncRead for Rewind {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.front.is_empty() {
            return self.poll_read_behind(cx, out);
        }
        let size_bytes = self.front.len().min(out.remaining());
        out.put_slice(&self.front[..size_bytes]);
        self.front.advance(size_bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewind {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.scope {
            Scope::Request(_) => Poll::Ready(Ok(())),
            Scope::Last { .. } => self.wire()?.poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn connection() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0.into(), peer)
    }

    #[tokio::test]
    async fn a_request_ends_with_its_front_and_the_connection_goes_on() {
        let (socket, mut peer) = connection().await;
        peer.write_all(b"next").await.unwrap();
        let (mut rewind, returned) = Rewind::of_request(Bytes::from_static(b"head"), socket);
        let mut read = Vec::new();
        rewind.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"head");
        rewind.write_all(b"answer").await.unwrap();
        rewind.shutdown().await.unwrap();
        assert!(returned.take().is_none());
        drop(rewind);
        let mut socket = returned.take().expect("it came back");
        let mut next = [0; 4];
        socket.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"next");
        socket.write_all(b"!").await.unwrap();
        drop(socket);
        let mut answers = Vec::new();
        peer.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, b"answer!");
    }

    #[tokio::test]
    async fn a_last_request_is_read_to_its_end_and_its_connection_is_closed() {
        for (left_bytes, expected) in [(0, "head"), (9, "head and body"), (u64::MAX, "head and bodyGET /")] {
            let (socket, mut peer) = connection().await;
            peer.write_all(b" and bodyGET /").await.unwrap();
            peer.shutdown().await.unwrap();
            let front = Bytes::from_static(b"head");
            let mut rewind = Rewind::of_last(Last { front, left_bytes }, socket);
            let mut read = Vec::new();
            rewind.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, expected.as_bytes());
            rewind.shutdown().await.unwrap();
            assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_an_end_ends_in_time() {
        let (socket, mut peer) = connection().await;
        peer.write_all(b"body").await.unwrap();
        let last = Last { front: Bytes::from_static(b"head"), left_bytes: u64::MAX };
        let (mut rewind, mut read) = (Rewind::of_last(last, socket), Vec::new());
        let begun = tokio::time::Instant::now();
        rewind.read_to_end(&mut read).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), BODY_TIMEOUT.as_secs());
        assert!(read.starts_with(b"head"));
    }
}
