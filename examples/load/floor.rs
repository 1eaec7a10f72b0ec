//! The floor: one thread, one contiguous write for each viewer and interval, nothing else. Over TLS, that is encrypted for each
//! into one buffer of the thread.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use synctv_media::flv::{file_header, put_tag};
use tokio::sync::watch;

use crate::{publisher::Source, sealed::Sealed, stage::Stage};

/// Starts it. Viewers connect to the address that it gives, until the load is over.
pub fn start(
    kbps: u32,
    gop: u32,
    interval: Duration,
    tls: Option<Arc<ServerConfig>>,
    stages: watch::Receiver<Stage>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let thread = std::thread::Builder::new().name("floor".to_owned());
    thread.spawn(move || {
        let admit = || Viewer::admit(&listener, tls.clone());
        serve(admit, kbps, gop, interval, &stages);
    })?;
    Ok(address)
}

#[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
fn serve(
    admit: impl Fn() -> Option<Viewer>,
    kbps: u32,
    gop: u32,
    interval: Duration,
    stages: &watch::Receiver<Stage>,
) {
    let (mut viewers, mut scratch): (Vec<Viewer>, _) = (Vec::new(), Vec::new());
    let mut source = Source::new(kbps, gop);
    let begin = Instant::now();
    let mut flush_at = interval;
    while *stages.borrow() != Stage::Over {
        std::thread::sleep((begin + flush_at).saturating_duration_since(Instant::now()));
        viewers.extend(std::iter::from_fn(&admit));
        let mut tags = Vec::new();
        while source.next_at() <= flush_at {
            let frame = source.next_frame();
            put_tag(&mut tags, frame.track, frame.timestamp_ms.into(), &frame.payload);
        }
        // With no interval, every tag is a write of its own.
        flush_at = if interval.is_zero() { source.next_at() } else { flush_at + interval };
        viewers.retain_mut(|viewer| viewer.send(&tags, &mut scratch).is_ok());
    }
}

struct Viewer {
    socket: TcpStream,
    sealed: Option<Box<Sealed>>,
}

impl Viewer {
    fn admit(listener: &TcpListener, tls: Option<Arc<ServerConfig>>) -> Option<Self> {
        let (mut socket, _) = listener.accept().ok()?;
        socket.set_nodelay(true).ok()?;
        // The request is of no interest: there is one room.
        let sealed = match tls {
            Some(config) => Some(Box::new(Sealed::accept(&mut socket, config).ok()?)),
            None => {
                let _ = socket.read(&mut [0; 1024]).ok()?;
                None
            }
        };
        let (mut viewer, mut scratch) = (Self { socket, sealed }, Vec::new());
        viewer.send(b"HTTP/1.1 200 OK\r\n\r\n", &mut scratch).ok()?;
        viewer.send(&file_header(true, true), &mut scratch).ok()?;
        Some(viewer)
    }

    fn send(&mut self, bytes: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.sealed {
            Some(sealed) => self.socket.write_all(sealed.seal(bytes, scratch)?),
            None => self.socket.write_all(bytes),
        }
    }
}
