//! The floors of ingest: one thread that reads what publishers send and throws it away.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use synctv_media::rtmp::session::{Event, Session};
use tokio::sync::watch;

use crate::{
    stage::Stage,
    steps::block_on,
    viewer::{BUFFER, READ_BYTES},
};

/// The moments at which a floor reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// As soon as data arrives, for which the thread is woken.
    AsItComes,
    /// All connections at an interval, which is the server's for publishers without viewers (`COALESCING_TIME` of `actors`).
    Coalesced,
}

/// The interval of [`Reads::Coalesced`].
const INTERVAL: Duration = Duration::from_millis(75);

/// The interval while publishers come one after the other, each once the one before was accepted.
const ADMIT_INTERVAL: Duration = Duration::from_millis(1);

/// Starts it. Publishers connect to the address that it gives, until the load is over.
pub fn start(reads: Reads, stages: watch::Receiver<Stage>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let thread = std::thread::Builder::new().name("floor".to_owned());
    thread.spawn(move || match reads {
        Reads::AsItComes => block_on(serve_as_it_comes(listener, stages)).unwrap_or_else(report),
        Reads::Coalesced => serve_coalesced(&listener, &stages),
    })?;
    Ok(address)
}

fn report(error: Box<dyn std::error::Error>) {
    eprintln!("floor: {error}");
}

async fn serve_as_it_comes(
    listener: TcpListener,
    mut stages: watch::Receiver<Stage>,
) -> Result<(), Box<dyn std::error::Error>> {
    while *stages.borrow() == Stage::Joining {
        match accept(&listener) {
            Some(publisher) => {
                let publisher = tokio::net::TcpStream::from_std(publisher)?;
                tokio::task::spawn_local(read_each(publisher));
            }
            None => tokio::time::sleep(ADMIT_INTERVAL).await,
        }
    }
    stages.wait_for(|stage| *stage == Stage::Over).await?;
    Ok(())
}

/// Reads a publisher to its end.
async fn read_each(publisher: tokio::net::TcpStream) -> io::Result<()> {
    loop {
        publisher.readable().await?;
        match BUFFER.with_borrow_mut(|buffer| publisher.try_read(buffer)) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
fn serve_coalesced(listener: &TcpListener, stages: &watch::Receiver<Stage>) {
    let (mut publishers, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    let mut next = Instant::now();
    loop {
        let interval = match *stages.borrow() {
            Stage::Joining => ADMIT_INTERVAL,
            Stage::Measuring => INTERVAL,
            Stage::Over => return,
        };
        next = Instant::now().max(next + interval);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        publishers.extend(std::iter::from_fn(|| accept(listener)));
        publishers.retain_mut(|publisher| drain(publisher, &mut buffer).is_ok());
    }
}

/// Answers a publisher up to its media, whatever the room.
fn accept(listener: &TcpListener) -> Option<TcpStream> {
    let (mut socket, _) = listener.accept().ok()?;
    let mut rtmp = Session::new(Arc::default());
    let mut buffer = [0; 4096];
    loop {
        let size_bytes = socket.read(&mut buffer).ok().filter(|size_bytes| *size_bytes > 0)?;
        rtmp.feed(&buffer[..size_bytes]).ok()?;
        let is_publish = |event| matches!(event, Event::Publish(_));
        let publishes = std::iter::from_fn(|| rtmp.poll_event()).any(is_publish);
        rtmp.accept();
        socket.write_all(&rtmp.take_output()).ok()?;
        if publishes {
            socket.set_nonblocking(true).ok()?;
            return Some(socket);
        }
    }
}

/// Reads the available bytes. The publisher's end is an error.
fn drain(publisher: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match publisher.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(size_bytes) if size_bytes == buffer.len() => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => return Ok(()),
        }
    }
}
