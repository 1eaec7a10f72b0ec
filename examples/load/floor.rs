//! The floor: one thread, one contiguous write for each viewer and interval, nothing else.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use synctv_media::flv::{file_header, put_tag};
use tokio::sync::watch;

use crate::{Stage, publisher::Source};

/// Starts it. Viewers connect to the address that it gives, until the load is over.
pub fn start(
    kbps: u32,
    gop: u32,
    interval: Duration,
    stages: watch::Receiver<Stage>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let thread = std::thread::Builder::new().name("floor".to_owned());
    thread.spawn(move || serve(&listener, kbps, gop, interval, &stages))?;
    Ok(address)
}

#[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
fn serve(listener: &TcpListener, kbps: u32, gop: u32, interval: Duration, stages: &watch::Receiver<Stage>) {
    let mut viewers: Vec<TcpStream> = Vec::new();
    let mut source = Source::new(kbps, gop);
    let begin = Instant::now();
    let mut flush_at = interval;
    while *stages.borrow() != Stage::Over {
        std::thread::sleep((begin + flush_at).saturating_duration_since(Instant::now()));
        viewers.extend(std::iter::from_fn(|| admit(listener)));
        let mut tags = Vec::new();
        while source.next_at() <= flush_at {
            let frame = source.next_frame();
            put_tag(&mut tags, frame.track, frame.timestamp_ms.into(), &frame.payload);
        }
        // With no interval, every tag is a write of its own.
        flush_at = if interval.is_zero() { source.next_at() } else { flush_at + interval };
        viewers.retain_mut(|viewer| viewer.write_all(&tags).is_ok());
    }
}

fn admit(listener: &TcpListener) -> Option<TcpStream> {
    let (mut viewer, _) = listener.accept().ok()?;
    viewer.set_nodelay(true).ok()?;
    let mut request = [0; 1024];
    let _ = viewer.read(&mut request).ok()?;
    viewer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    viewer.write_all(&file_header(true, true)).ok()?;
    Some(viewer)
}
