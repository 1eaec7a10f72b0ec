//! A publisher: a synthetic stream over RTMP, 30 frames a second and AAC's 43 packets.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use rustls::ClientConfig;
use synctv_media::{
    samples,
    stream::frame::{Frame, Track},
};
use synctv_testkit::rtmp::{self, Client};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    clock::now_us,
    connection::Connection,
    stage::Stage,
    stamp::{INTER_NAL, KEYFRAME_NAL, STAMP_BYTES, STAMP_OFFSET, TAG_HEADER_BYTES},
};

/// Frames a second.
pub const FPS: u32 = 30;
/// One packet of AAC at 44.1 kHz, in microseconds.
const AUDIO_STEP_US: u64 = 23_220;
const AUDIO_BYTES: usize = 350;

/// Starts to publish, over `tls` or plain without it; the answer comes once the server has agreed.
pub fn start(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    room: String,
    kbps: u32,
    gop: u32,
    stages: watch::Receiver<Stage>,
) -> oneshot::Receiver<io::Result<()>> {
    let (ready, is_ready) = oneshot::channel();
    tokio::task::spawn_local(async move {
        match connect(server, tls, &room).await {
            Ok((socket, client)) => {
                let _ = ready.send(Ok(()));
                if let Err(error) = publish(socket, client, kbps, gop, stages).await {
                    eprintln!("publisher of {room}: {error}");
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    is_ready
}

async fn connect(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    room: &str,
) -> io::Result<(Connection, Client)> {
    let mut socket = Connection::open(server, tls).await?;
    socket.set_nodelay()?;
    let mut client = Client::publisher("live", room);
    rtmp::start(&mut socket, &mut client).await?;
    Ok((socket, client))
}

async fn publish(
    mut socket: Connection,
    mut client: Client,
    kbps: u32,
    gop: u32,
    stages: watch::Receiver<Stage>,
) -> io::Result<()> {
    for header in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
        client.send_frame(&header);
    }
    let mut source = Source::new(kbps, gop);
    let begin = Instant::now();
    while *stages.borrow() != Stage::Over {
        tokio::time::sleep_until(begin + source.next_at()).await;
        client.send_frame(&source.next_frame());
        rtmp::answer_what_came(|buffer| socket.try_read(buffer), &mut client)?;
        socket.send(&client.take_output()).await?;
    }
    Ok(())
}

/// The frames of a stream, in order.
pub struct Source {
    frame_bytes: usize,
    gop: u32,
    frames: u64,
    packets: u64,
}

impl Source {
    /// A stream of this bit rate and keyframe interval.
    pub fn new(kbps: u32, gop: u32) -> Self {
        Self { frame_bytes: frame_bytes(kbps), gop, frames: 0, packets: 0 }
    }

    /// When the next frame is due, from the start of the stream.
    pub fn next_at(&self) -> Duration {
        self.next_frame_at().min(self.next_packet_at())
    }

    /// The next frame, stamped with the time that it is now.
    pub fn next_frame(&mut self) -> Frame {
        let timestamp_ms = self.next_at().as_millis() as u32;
        if self.next_frame_at() <= self.next_packet_at() {
            self.frames += 1;
            self.frame(timestamp_ms)
        } else {
            self.packets += 1;
            packet(timestamp_ms)
        }
    }

    fn next_frame_at(&self) -> Duration {
        Duration::from_micros(self.frames * 1_000_000 / u64::from(FPS))
    }

    fn next_packet_at(&self) -> Duration {
        Duration::from_micros(self.packets * AUDIO_STEP_US)
    }

    /// A keyframe has the bytes of four other frames, out of its GOP's share.
    fn frame(&self, timestamp_ms: u32) -> Frame {
        let number = self.frames - 1;
        let is_key = number.is_multiple_of(u64::from(self.gop));
        let unit = self.frame_bytes * self.gop as usize / (self.gop as usize + 3);
        let mut payload = vec![0xAB; if is_key { 4 * unit } else { unit }];
        let nal_bytes = (payload.len() - TAG_HEADER_BYTES - 4) as u32;
        let (frame_type, nal_type) = if is_key { (0x17, KEYFRAME_NAL) } else { (0x27, INTER_NAL) };
        payload[..TAG_HEADER_BYTES].copy_from_slice(&[frame_type, 1, 0, 0, 0]);
        payload[TAG_HEADER_BYTES..][..4].copy_from_slice(&nal_bytes.to_be_bytes());
        payload[STAMP_OFFSET - 1] = nal_type;
        payload[STAMP_OFFSET..][..8].copy_from_slice(&number.to_be_bytes());
        payload[STAMP_OFFSET + 8..][..8].copy_from_slice(&now_us().to_be_bytes());
        Frame { track: Track::Video, timestamp_ms, payload: payload.into() }
    }
}

fn packet(timestamp_ms: u32) -> Frame {
    let mut payload = vec![0xCD; AUDIO_BYTES];
    payload[..2].copy_from_slice(&[0xAF, 1]);
    Frame { track: Track::Audio, timestamp_ms, payload: Bytes::from(payload) }
}

/// The mean size of a frame.
pub fn frame_bytes(kbps: u32) -> usize {
    (kbps as usize * 1000 / 8 / FPS as usize).max(STAMP_OFFSET + STAMP_BYTES + 64)
}
