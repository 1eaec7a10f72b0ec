//! Encoders in real time that reconnect as well-known ones do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    frames,
    rtmp::{Client, Next, RtmpPeer},
    socket::dial,
    wait::now,
};

/// The time from one frame to the next.
pub const FRAME_INTERVAL: Duration = Duration::from_millis(40);

/// How long OBS waits before it reconnects.
const OBS_PAUSE: Duration = Duration::from_secs(2);

/// How long the `fifo` muxer of FFmpeg waits after an attempt that was refused.
const FIFO_PAUSE: Duration = Duration::from_secs(5);

/// The encoder that is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderKind {
    /// Reconnects after 2 s, and goes on with its next keyframe.
    Obs,
    /// Reconnects at once, and goes on within a GOP.
    Fifo,
}

/// An encoder on a thread of its own. It stops when this is dropped.
#[derive(Debug)]
pub struct Encoder {
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Encoder {
    /// Publishes `stream_name` at `address` from now on: 25 frames a second without audio, a keyframe each `gop_frames`.
    /// The payload of frame n is that of [`frames::keyframe`] or [`frames::inter`] with the number n.
    pub fn start(kind: EncoderKind, address: SocketAddr, stream_name: &str, gop_frames: u32) -> Self {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let mut run = Run {
            kind,
            address,
            stream_name: stream_name.to_owned(),
            gop_frames,
            link: Link::Waiting { until: now() },
        };
        let stop = is_stopping.clone();
        let thread = thread::spawn(move || run.until(&stop));
        Self { is_stopping, thread: Some(thread) }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Run {
    kind: EncoderKind,
    address: SocketAddr,
    stream_name: String,
    gop_frames: u32,
    link: Link,
}

enum Link {
    /// It tries to connect then.
    Waiting { until: Instant },
    /// It is connected, and sends nothing before its next keyframe.
    Connected(RtmpPeer),
    /// It sends.
    Sending(RtmpPeer),
}

impl Run {
    fn until(&mut self, stop: &AtomicBool) {
        let begin = now();
        for number in 0.. {
            self.link = self.step(number, begin + FRAME_INTERVAL * number);
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Sends a frame that is due then, if that is possible.
    fn step(&mut self, number: u32, due: Instant) -> Link {
        let link = std::mem::replace(&mut self.link, Link::Waiting { until: due });
        let link = self.wait(link, due);
        let is_keyframe = number.is_multiple_of(self.gop_frames);
        let mut peer = match link {
            Link::Connected(mut peer) if is_keyframe => {
                peer.send_all(&frames::video_headers());
                peer
            }
            Link::Sending(peer) => peer,
            other => return other,
        };
        let timestamp_ms = number * FRAME_INTERVAL.as_millis() as u32;
        peer.send(&if is_keyframe {
            frames::keyframe(timestamp_ms, number)
        } else {
            frames::inter(timestamp_ms, number)
        });
        Link::Sending(peer)
    }

    /// Waits, and reconnects if the connection ends meanwhile.
    fn wait(&self, mut link: Link, due: Instant) -> Link {
        loop {
            let left = due.saturating_duration_since(now());
            link = match link {
                Link::Waiting { until } if until <= now() => self.connect(),
                waiting @ Link::Waiting { .. } if left.is_zero() => return waiting,
                Link::Waiting { until } => {
                    pause(left.min(until.saturating_duration_since(now())));
                    Link::Waiting { until }
                }
                Link::Connected(mut peer) => match self.listen(&mut peer, left) {
                    None if left.is_zero() => return Link::Connected(peer),
                    None => Link::Connected(peer),
                    Some(until) => Link::Waiting { until },
                },
                Link::Sending(mut peer) => match self.listen(&mut peer, left) {
                    None if left.is_zero() => return Link::Sending(peer),
                    None => Link::Sending(peer),
                    Some(until) => Link::Waiting { until },
                },
            };
        }
    }

    /// Reads what the server sends. Gives the time at which to reconnect if it has closed the connection.
    fn listen(&self, peer: &mut RtmpPeer, left: Duration) -> Option<Instant> {
        let pause = match self.kind {
            EncoderKind::Obs => OBS_PAUSE,
            EncoderKind::Fifo => Duration::ZERO,
        };
        match peer.next(left.max(Duration::from_millis(1))) {
            Next::End => Some(now() + pause),
            Next::Event(_) | Next::Nothing => None,
        }
    }

    fn connect(&self) -> Link {
        let (flash_ver, pause) = match self.kind {
            EncoderKind::Obs => ("FMLE/3.0 (compatible; FMSc/1.0)", OBS_PAUSE),
            EncoderKind::Fifo => ("FMLE/3.0 (compatible; Lavf)", FIFO_PAUSE),
        };
        let client = Client::publisher("live", &self.stream_name).calling_itself(flash_ver);
        match (RtmpPeer::start(dial(self.address), client), self.kind) {
            (Ok(peer), EncoderKind::Obs) => Link::Connected(peer),
            (Ok(mut peer), EncoderKind::Fifo) => {
                peer.send_all(&frames::video_headers());
                Link::Sending(peer)
            }
            (Err(_), _) => Link::Waiting { until: now() + pause },
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "an encoder follows the clock")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
