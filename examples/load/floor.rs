//! The floor: one thread, one contiguous write for each viewer and interval, nothing else. Over TLS, that is encrypted for each
//! into one buffer of the thread. Over RTMP, all get the same chunks.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use synctv_media::{
    flv::{file_header, put_tag},
    rtmp::{
        mux::flv_to_chunks,
        session::{Event, Session},
    },
};
use tokio::sync::watch;

use crate::{args::Args, publisher::Source, sealed::Sealed, stage::Stage};

/// Starts it. Viewers connect to the address that it gives, until the load is over.
pub fn start(args: &Args, stages: watch::Receiver<Stage>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let floor = Floor {
        listener,
        source: Source::new(args.kbps, args.gop),
        interval: Duration::from_millis(args.floor_interval_ms),
        tls: args.authority.as_ref().map(|authority| authority.server_config()),
        is_rtmp: args.play,
    };
    let thread = std::thread::Builder::new().name("floor".to_owned());
    thread.spawn(move || floor.serve(&stages))?;
    Ok(address)
}

struct Floor {
    listener: TcpListener,
    source: Source,
    interval: Duration,
    tls: Option<Arc<ServerConfig>>,
    is_rtmp: bool,
}

impl Floor {
    #[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
    fn serve(mut self, stages: &watch::Receiver<Stage>) {
        let (mut viewers, mut scratch): (Vec<Viewer>, _) = (Vec::new(), Vec::new());
        let begin = Instant::now();
        let mut flush_at = self.interval;
        while *stages.borrow() != Stage::Over {
            std::thread::sleep((begin + flush_at).saturating_duration_since(Instant::now()));
            viewers.extend(std::iter::from_fn(|| self.admit()));
            let mut tags = Vec::new();
            while self.source.next_at() <= flush_at {
                let frame = self.source.next_frame();
                put_tag(&mut tags, frame.track, frame.timestamp_ms.into(), &frame.payload);
            }
            let media = if self.is_rtmp { flv_to_chunks(&tags) } else { tags.into() };
            // With no interval, every tag is a write of its own.
            flush_at = if self.interval.is_zero() { self.source.next_at() } else { flush_at + self.interval };
            viewers.retain_mut(|viewer| viewer.send(&media, &mut scratch).is_ok());
        }
    }

    fn admit(&self) -> Option<Viewer> {
        let (socket, _) = self.listener.accept().ok()?;
        socket.set_nodelay(true).ok()?;
        match self.is_rtmp {
            true => Viewer::of_rtmp(socket),
            false => Viewer::of_http(socket, self.tls.clone()),
        }
    }
}

struct Viewer {
    socket: TcpStream,
    sealed: Option<Box<Sealed>>,
}

impl Viewer {
    fn of_http(mut socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> Option<Self> {
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

    /// Answers up to the play, whatever the room.
    fn of_rtmp(mut socket: TcpStream) -> Option<Self> {
        let mut rtmp = Session::new(Arc::default());
        let mut buffer = [0; 4096];
        loop {
            let size_bytes = socket.read(&mut buffer).ok().filter(|size_bytes| *size_bytes > 0)?;
            rtmp.feed(&buffer[..size_bytes]).ok()?;
            let is_play = |event| matches!(event, Event::Play(_));
            let plays = std::iter::from_fn(|| rtmp.poll_event()).any(is_play);
            rtmp.accept();
            socket.write_all(&rtmp.take_output()).ok()?;
            if plays {
                return Some(Self { socket, sealed: None });
            }
        }
    }

    fn send(&mut self, bytes: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.sealed {
            Some(sealed) => self.socket.write_all(sealed.seal(bytes, scratch)?),
            None => self.socket.write_all(bytes),
        }
    }
}
