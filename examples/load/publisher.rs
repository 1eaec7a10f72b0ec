//! A publisher: a synthetic stream over RTMP, 30 pictures a second and AAC's 43 packets.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use synctv_media::{
    samples,
    stream::frame::{Frame, Track},
};
use synctv_testkit::rtmp::{self, Client};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{Stage, report::now_us};

/// Pictures a second.
pub const FPS: u32 = 30;
/// One packet of AAC at 44.1 kHz, in microseconds.
const AUDIO_STEP_US: u64 = 23_220;
const AUDIO_BYTES: usize = 350;
/// The header of a picture's tag.
const TAG_HEADER_BYTES: usize = 5;
const KEYFRAME_NAL: u8 = 0x65;
const INTER_NAL: u8 = 0x41;
/// Where a picture carries its number and the time it was sent: in its only NAL unit, behind length and type.
pub const STAMP_OFFSET: usize = TAG_HEADER_BYTES + 5;
/// Number and time, eight bytes each.
pub const STAMP_BYTES: usize = 16;

/// What a picture says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counted from 0, the stream's first picture.
    pub number: u64,
    /// When it was sent, by [`now_us`].
    pub sent_us: u64,
}

impl Stamp {
    /// The stamp that `bytes` begin with.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let sent_us = rest.first_chunk()?;
        Some(Self { number: u64::from_be_bytes(*number), sent_us: u64::from_be_bytes(*sent_us) })
    }

    /// The stamp of a picture in Annex B: in the first NAL unit that is one, because a stamp may look like the start of
    /// another.
    pub fn find(access_unit: &[u8]) -> Option<Self> {
        let is_picture = |bytes: &[u8]| matches!(bytes, [0, 0, 0, 1, KEYFRAME_NAL | INTER_NAL]);
        let at = access_unit.windows(5).position(is_picture)?;
        Self::read(access_unit.get(at + 5..)?)
    }
}

/// Starts to publish; the answer comes once the server has agreed.
pub fn start(
    server: SocketAddr,
    room: String,
    kbps: u32,
    gop: u32,
    stages: watch::Receiver<Stage>,
) -> oneshot::Receiver<io::Result<()>> {
    let (ready, is_ready) = oneshot::channel();
    tokio::task::spawn_local(async move {
        match connect(server, &room).await {
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

async fn connect(server: SocketAddr, room: &str) -> io::Result<(TcpStream, Client)> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::publisher("live", room);
    rtmp::start(&mut socket, &mut client).await?;
    Ok((socket, client))
}

async fn publish(
    mut socket: TcpStream,
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
        rtmp::answer_what_came(&socket, &mut client)?;
        socket.write_all(&client.take_output()).await?;
    }
    Ok(())
}

/// The frames of a stream, in order.
pub struct Source {
    picture_bytes: usize,
    gop: u32,
    pictures: u64,
    packets: u64,
}

impl Source {
    /// A stream of this bit rate and keyframe interval.
    pub fn new(kbps: u32, gop: u32) -> Self {
        Self { picture_bytes: picture_bytes(kbps), gop, pictures: 0, packets: 0 }
    }

    /// When the next frame is due, from the start of the stream.
    pub fn next_at(&self) -> Duration {
        self.next_picture_at().min(self.next_packet_at())
    }

    /// The next frame, stamped with the time that it is now.
    pub fn next_frame(&mut self) -> Frame {
        let timestamp_ms = self.next_at().as_millis() as u32;
        if self.next_picture_at() <= self.next_packet_at() {
            self.pictures += 1;
            self.picture(timestamp_ms)
        } else {
            self.packets += 1;
            packet(timestamp_ms)
        }
    }

    fn next_picture_at(&self) -> Duration {
        Duration::from_micros(self.pictures * 1_000_000 / u64::from(FPS))
    }

    fn next_packet_at(&self) -> Duration {
        Duration::from_micros(self.packets * AUDIO_STEP_US)
    }

    /// A keyframe has the bytes of four other pictures, out of its GOP's share.
    fn picture(&self, timestamp_ms: u32) -> Frame {
        let number = self.pictures - 1;
        let is_key = number.is_multiple_of(u64::from(self.gop));
        let unit = self.picture_bytes * self.gop as usize / (self.gop as usize + 3);
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

/// The mean size of a picture.
pub fn picture_bytes(kbps: u32) -> usize {
    (kbps as usize * 1000 / 8 / FPS as usize).max(STAMP_OFFSET + STAMP_BYTES + 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_look_like_another_picture_are_read() {
        // 0x141 is 00 00 01 41 at its end, behind more zeros.
        let stamp = Stamp { number: 0x141, sent_us: 7 };
        let mut unit = vec![0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, INTER_NAL];
        unit.extend_from_slice(&stamp.number.to_be_bytes());
        unit.extend_from_slice(&stamp.sent_us.to_be_bytes());
        assert_eq!(Stamp::find(&unit), Some(stamp));
        assert_eq!(Stamp::find(&unit[..unit.len() - 1]), None);
        assert_eq!(Stamp::find(&unit[..10]), None);
    }
}
