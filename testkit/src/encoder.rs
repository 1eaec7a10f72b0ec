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

use synctv_media::stream::frame::Frame;

use crate::{
    frames,
    rtmp::{Client, ClientEvent, Next, Refused, RtmpPeer},
    socket::dial,
    wait::now,
};

/// The time from one frame to the next.
pub const FRAME_INTERVAL: Duration = Duration::from_millis(40);

/// Time that OBS waits before it reconnects.
const OBS_PAUSE: Duration = Duration::from_secs(2);

/// Messages from one look of FFmpeg for what the server sent to the next: its default of `rtmp_flush_interval`.
const FIFO_LOOKS_EACH: u32 = 10;

/// Time that FFmpeg's `fifo` muxer waits after an attempt that was refused.
const FIFO_PAUSE: Duration = Duration::from_secs(5);

/// The status by which a server asks for another connection.
const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

/// The encoder that is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderKind {
    /// Reconnects after 2 s, and goes on with its next keyframe.
    Obs,
    /// FFmpeg's `fifo` muxer: looks for what the server sent, its end among that, after each tenth message only, and sends on
    /// until then. Reconnects at once, and goes on within a GOP.
    Fifo,
    /// Takes reconnect requests (E-RTMP v2): connects anew, and changes over at its next keyframe.
    OnRequest,
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
            messages: 0,
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
    /// Messages of audio, video and data that it sent on its connection.
    messages: u32,
    link: Link,
}

enum Link {
    /// It tries to connect then.
    Waiting { until: Instant },
    /// It is connected, and sends nothing before its next keyframe.
    Connected(RtmpPeer),
    /// It sends.
    Sending(RtmpPeer),
    /// It sends on the connection before, up to its next keyframe.
    Changing { before: Box<RtmpPeer>, after: Box<RtmpPeer> },
}

/// An event of the server while an encoder waited for its next frame.
enum Heard {
    Nothing,
    ReconnectRequest,
    /// It closed the connection, which is made anew then.
    End {
        reconnects: Instant,
    },
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
            Link::Changing { before, mut after } if is_keyframe => {
                after.send_all(&frames::video_headers());
                after.send(&frame(number, true));
                before.unpublish();
                return Link::Sending(*after);
            }
            Link::Changing { mut before, after } => {
                before.send(&frame(number, false));
                return Link::Changing { before, after };
            }
            other => return other,
        };
        let frame = frame(number, is_keyframe);
        peer.send(&frame);
        match self.kind {
            EncoderKind::Fifo => self.look(peer, &frame),
            EncoderKind::Obs | EncoderKind::OnRequest => Link::Sending(peer),
        }
    }

    /// Looks for what the server sent, if it is time to. If that is its end, the last frame is sent again on a new connection.
    fn look(&mut self, mut peer: RtmpPeer, last: &Frame) -> Link {
        self.messages += 1;
        if !self.messages.is_multiple_of(FIFO_LOOKS_EACH) {
            return Link::Sending(peer);
        }
        loop {
            match peer.next(Duration::ZERO) {
                Next::Nothing => return Link::Sending(peer),
                Next::Event(ClientEvent::Status { level, .. }) if level == "error" => break,
                Next::Event(_) => {}
                Next::End => break,
            }
        }
        let mut link = self.connect();
        if let Link::Sending(peer) = &mut link {
            peer.send(last);
            self.messages += 1;
        }
        link
    }

    /// Waits, and reconnects if the connection ends meanwhile.
    fn wait(&mut self, mut link: Link, due: Instant) -> Link {
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
                    Heard::End { reconnects: until } => Link::Waiting { until },
                    _ if left.is_zero() => return Link::Connected(peer),
                    _ => Link::Connected(peer),
                },
                Link::Sending(peer) if self.kind == EncoderKind::Fifo => {
                    pause(left);
                    return Link::Sending(peer);
                }
                Link::Sending(mut peer) => match self.listen(&mut peer, left) {
                    Heard::End { reconnects: until } => Link::Waiting { until },
                    Heard::ReconnectRequest => match self.dial() {
                        Ok(after) => Link::Changing { before: Box::new(peer), after: Box::new(after) },
                        Err(_) => Link::Sending(peer),
                    },
                    Heard::Nothing if left.is_zero() => return Link::Sending(peer),
                    Heard::Nothing => Link::Sending(peer),
                },
                Link::Changing { mut before, after } => match self.listen(&mut before, left) {
                    Heard::End { .. } => Link::Connected(*after),
                    _ if left.is_zero() => return Link::Changing { before, after },
                    _ => Link::Changing { before, after },
                },
            };
        }
    }

    /// Reads what the server sends.
    fn listen(&self, peer: &mut RtmpPeer, left: Duration) -> Heard {
        let pause = match self.kind {
            EncoderKind::Obs => OBS_PAUSE,
            EncoderKind::Fifo | EncoderKind::OnRequest => Duration::ZERO,
        };
        match peer.next(left.max(Duration::from_millis(1))) {
            Next::End => Heard::End { reconnects: now() + pause },
            Next::Event(ClientEvent::Status { code, .. }) if code == RECONNECT_REQUEST => {
                Heard::ReconnectRequest
            }
            Next::Event(_) | Next::Nothing => Heard::Nothing,
        }
    }

    fn connect(&mut self) -> Link {
        match (self.dial(), self.kind) {
            (Ok(peer), EncoderKind::Obs | EncoderKind::OnRequest) => Link::Connected(peer),
            (Ok(mut peer), EncoderKind::Fifo) => {
                let headers = frames::video_headers();
                peer.send_all(&headers);
                self.messages = headers.len() as u32;
                Link::Sending(peer)
            }
            (Err(_), EncoderKind::Obs | EncoderKind::OnRequest) => Link::Waiting { until: now() + OBS_PAUSE },
            (Err(_), EncoderKind::Fifo) => Link::Waiting { until: now() + FIFO_PAUSE },
        }
    }

    fn dial(&self) -> Result<RtmpPeer, Refused> {
        let client = Client::publisher("live", &self.stream_name);
        let client = match self.kind {
            EncoderKind::Obs => client.calling_itself("FMLE/3.0 (compatible; FMSc/1.0)"),
            EncoderKind::Fifo => client.calling_itself("FMLE/3.0 (compatible; Lavf)"),
            EncoderKind::OnRequest => client.taking_reconnect_requests(),
        };
        RtmpPeer::start(dial(self.address), client)
    }
}

fn frame(number: u32, is_keyframe: bool) -> Frame {
    let timestamp_ms = number * FRAME_INTERVAL.as_millis() as u32;
    if is_keyframe { frames::keyframe(timestamp_ms, number) } else { frames::inter(timestamp_ms, number) }
}

#[allow(clippy::disallowed_methods, reason = "an encoder follows the clock")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
