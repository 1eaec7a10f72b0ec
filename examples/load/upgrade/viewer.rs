//! Viewers over HTTP-FLV and RTMP players, which compare everything they receive.

use std::{io, net::SocketAddr};

use synctv_media::rtmp::client::ClientEvent;
use synctv_testkit::{
    http::receive_head,
    rtmp::{self, Client},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    check::{FlvCheck, Order},
    findings::Findings,
    gaps::{Clock, Gaps},
    record::Record,
};
use crate::{
    hls::faults::Faults,
    viewer::{BUFFER, READ_BYTES},
};

/// Statuses that show a player an interruption.
const ENDS: [&str; 3] =
    ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetConnection.Connect.ReconnectRequest"];

/// The state that all viewers of a load share.
#[derive(Debug, Clone)]
pub struct Watch {
    pub clock: Clock,
    pub findings: Findings,
}

/// Reports its findings when it is dropped: the load ends its viewers.
struct Watching<C: Compared> {
    kind: &'static str,
    check: C,
    gaps: Gaps,
    findings: Findings,
}

/// A comparison that a viewer makes.
trait Compared {
    /// The frames that were compared, and the faults.
    fn finish(&mut self) -> (u64, Faults);
}

impl Compared for Order {
    fn finish(&mut self) -> (u64, Faults) {
        (self.frames, std::mem::take(&mut self.faults))
    }
}

impl Compared for FlvCheck {
    fn finish(&mut self) -> (u64, Faults) {
        self.order.finish()
    }
}

impl<C: Compared> Watching<C> {
    fn new(kind: &'static str, check: C, watch: &Watch) -> Self {
        Self { kind, check, gaps: Gaps::new(&watch.clock), findings: watch.findings.clone() }
    }
}

impl<C: Compared> Drop for Watching<C> {
    fn drop(&mut self) {
        let (frames, faults) = self.check.finish();
        self.findings.add(self.kind, frames, faults);
    }
}

/// Watches a room over HTTP-FLV until it is aborted.
pub async fn watch(kind: &'static str, server: SocketAddr, room: String, record: Record, watch: Watch) {
    let mut watching = Watching::new(kind, FlvCheck::new(record), &watch);
    if let Err(error) = receive(server, &room, &mut watching).await {
        watch.findings.fault(format!("{kind}: disconnected: {error}"));
    }
}

async fn receive(server: SocketAddr, room: &str, watching: &mut Watching<FlvCheck>) -> io::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    // HTTP/1.0 has no chunks.
    socket.write_all(format!("GET /{room}.flv HTTP/1.0\r\nHost: load\r\n\r\n").as_bytes()).await?;
    let head = receive_head(&mut socket).await.map_err(io::Error::other)?;
    if head.status != 200 {
        return Err(io::Error::other(format!("status {}", head.status)));
    }
    watching.check.take(&head.body);
    loop {
        socket.readable().await?;
        let size = read(&socket, |bytes| watching.check.take(bytes))?;
        if size > 0 {
            watching.gaps.note();
        }
        // A socket that always has more must not keep the others waiting.
        if size == READ_BYTES {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads available bytes into a shared buffer. Returns 0 if there are none; the end of the connection is an error.
fn read(socket: &TcpStream, take: impl FnOnce(&[u8])) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| match socket.try_read(buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(size) => {
            take(&buffer[..size]);
            Ok(size)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    })
}

/// Plays a room over RTMP until it is aborted.
pub async fn play(kind: &'static str, server: SocketAddr, room: String, record: Record, watch: Watch) {
    let mut watching = Watching::new(kind, Order::new(record), &watch);
    if let Err(error) = play_on(server, &room, &mut watching).await {
        watch.findings.fault(format!("{kind}: disconnected: {error}"));
    }
}

async fn play_on(server: SocketAddr, room: &str, watching: &mut Watching<Order>) -> io::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::player("live", room);
    rtmp::start(&mut socket, &mut client).await?;
    loop {
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Frame(frame) => watching.check.take(&frame),
                ClientEvent::Status { code, .. } if ENDS.contains(&code.as_str()) => {
                    watching.findings.fault(format!("{}: status {code}", watching.kind));
                }
                ClientEvent::Status { .. } | ClientEvent::Ready => {}
            }
        }
        let output = client.take_output();
        if !output.is_empty() {
            socket.write_all(&output).await?;
        }
        socket.readable().await?;
        let mut fed = Ok(());
        let size = read(&socket, |bytes| fed = client.feed(bytes).map_err(io::Error::other))?;
        fed?;
        if size > 0 {
            watching.gaps.note();
        }
    }
}
