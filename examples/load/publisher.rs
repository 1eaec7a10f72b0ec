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
const AAC_STEP_US: u64 = 23_220;
const AAC_BYTES: usize = 350;
/// One packet of Opus, in microseconds.
const OPUS_STEP_US: u64 = 20_000;
const OPUS_BYTES: usize = 240;
/// The heads of Enhanced RTMP in front of Opus (E-RTMP v2, "Enhanced Audio"), and the identification header (RFC 7845,
/// section 5.1): two channels at 48 kHz.
const OPUS_HEADER: &[u8] = b"\x90OpusOpusHead\x01\x02\x00\x00\x80\xBB\x00\x00\x00\x00\x00";
const OPUS_PACKET: &[u8] = b"\x91Opus";

/// Longer than any load.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// Starts to publish, over `tls` or plain without it; the answer comes once the server has agreed.
pub fn start(
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    room: String,
    mut source: Source,
    stages: watch::Receiver<Stage>,
) -> oneshot::Receiver<io::Result<()>> {
    let (ready, is_ready) = oneshot::channel();
    tokio::task::spawn_local(async move {
        match connect(server, tls, &room).await {
            Ok((socket, client)) => {
                let _ = ready.send(Ok(()));
                if let Err(error) = publish(socket, client, &mut source, stages).await {
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
    source: &mut Source,
    stages: watch::Receiver<Stage>,
) -> io::Result<()> {
    for header in [samples::metadata(true, true), samples::video_header(), source.audio_header()] {
        client.send_frame(&header);
    }
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
#[derive(Debug, Clone)]
pub struct Source {
    is_silent: bool,
    frame_bytes: usize,
    gop: u32,
    audio: Audio,
    frames: u64,
    packets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audio {
    Aac,
    Opus,
}

impl Source {
    /// A stream of this bit rate and keyframe interval.
    pub fn new(kbps: u32, gop: u32) -> Self {
        let frame_bytes = frame_bytes(kbps);
        Self { is_silent: false, frame_bytes, gop, audio: Audio::Aac, frames: 0, packets: 0 }
    }

    /// A stream of which no frame ever comes.
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::new(0, 1) }
    }

    /// The same with Opus, which WebRTC carries as it is.
    pub fn with_opus(self) -> Self {
        Self { audio: Audio::Opus, ..self }
    }

    /// The header of its audio.
    fn audio_header(&self) -> Frame {
        match self.audio {
            Audio::Aac => samples::audio_header(),
            Audio::Opus => {
                Frame { track: Track::Audio, timestamp_ms: 0, payload: Bytes::from_static(OPUS_HEADER) }
            }
        }
    }

    /// The time at which the next frame is due, from the start of the stream.
    pub fn next_at(&self) -> Duration {
        if self.is_silent {
            return NEVER;
        }
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
            self.audio.packet(timestamp_ms)
        }
    }

    fn next_frame_at(&self) -> Duration {
        Duration::from_micros(self.frames * 1_000_000 / u64::from(FPS))
    }

    fn next_packet_at(&self) -> Duration {
        Duration::from_micros(self.packets * self.audio.step_us())
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

impl Audio {
    fn step_us(self) -> u64 {
        match self {
            Self::Aac => AAC_STEP_US,
            Self::Opus => OPUS_STEP_US,
        }
    }

    fn packet(self, timestamp_ms: u32) -> Frame {
        let (head, size_bytes): (&[u8], _) = match self {
            Self::Aac => (&[0xAF, 1], AAC_BYTES),
            Self::Opus => (OPUS_PACKET, OPUS_BYTES),
        };
        let mut payload = vec![0xCD; size_bytes];
        payload[..head.len()].copy_from_slice(head);
        Frame { track: Track::Audio, timestamp_ms, payload: Bytes::from(payload) }
    }
}

/// The mean size of a frame.
pub fn frame_bytes(kbps: u32) -> usize {
    (kbps as usize * 1000 / 8 / FPS as usize).max(STAMP_OFFSET + STAMP_BYTES + 64)
}
