//! The floor: one thread, and for each viewer and frame the encryption of its packets and one system call, in which the kernel
//! makes datagrams of them (generic segmentation offload). Its packets are the server's: even pieces of the frame, and audio that
//! came since the last frame behind them, of which the first packet shares the frame's call. At an interval of 0 each packet of audio
//! leaves as it comes, with a call of its own.

use std::{
    error::Error,
    io,
    net::{SocketAddr, UdpSocket},
    thread::Builder,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn_udp::{Transmit, UdpSocketState};
use rustls::{
    crypto::{
        aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher::{AeadKey, Iv},
    },
    quic::PacketKey,
};
use synctv_media::stream::frame::Track;
use tokio::sync::watch;

use super::{report::Report, traffic::Traffic, viewer::Watched};
use crate::{args::Args, publisher::Source, stage::Stage, steps::measure};

/// The server's payloads (`PAYLOAD_MAX_BYTES` of `media`).
const PAYLOAD_BYTES: usize = 1160;
/// RTP's head with the extension that browsers ask for (RFC 3550, section 5.1, and RFC 8285).
const HEAD_BYTES: usize = 12 + 8;
/// Of AES-GCM (RFC 7714, section 14.2).
const TAG_BYTES: usize = 16;
const OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;

/// Runs a load on it: its viewers are sockets that are not read.
pub async fn load(
    args: &Args,
    stage: &watch::Sender<Stage>,
    stages: watch::Receiver<Stage>,
) -> Result<Report, Box<dyn Error>> {
    let viewers: Vec<UdpSocket> = (0..args.viewers).map(|_| unread_socket()).collect::<io::Result<_>>()?;
    let addresses = viewers.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let sender = Sender::new(addresses, args.floor_interval_ms == 0)?;
    let mut source = Source::new(args.kbps, args.gop).with_opus();
    let thread = Builder::new().name("floor".to_owned()).spawn(move || sender.run(&mut source, &stages))?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut report = Report::new(args.viewers);
    report.set_usage(measure(args, stage).await?);
    let sent = thread.join().map_err(|_| "the floor's thread panicked")?;
    report.set_traffic(sent.shared_by(args.viewers), args.measure_s);
    for socket in &viewers {
        let datagrams =
            std::iter::from_fn(|| socket.recv(&mut [0; PAYLOAD_BYTES + OVERHEAD_BYTES]).ok()).count() as u64;
        report.add_viewer(Watched { datagrams, ..Watched::default() });
    }
    Ok(report)
}

fn unread_socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(0)?;
    Ok(socket)
}

struct Sender {
    socket: UdpSocket,
    state: UdpSocketState,
    key: Box<dyn PacketKey>,
    viewers: Vec<SocketAddr>,
    /// Audio does not wait for the next frame.
    sends_each: bool,
    numbers: u64,
    /// The packets of one call, all of one size except for the last.
    packets: Vec<u8>,
    sent: Traffic,
}

impl Sender {
    fn new(viewers: Vec<SocketAddr>, sends_each: bool) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let state = UdpSocketState::new((&socket).into())?;
        let suite = TLS13_AES_256_GCM_SHA384.tls13().and_then(|suite| suite.quic);
        let key = suite.ok_or("no AES-GCM")?.packet_key(AeadKey::from([7; 32]), Iv::copy(&[0; 12]));
        let (numbers, packets, sent) = (0, Vec::new(), Traffic::default());
        Ok(Self { socket, state, key, viewers, sends_each, numbers, packets, sent })
    }

    #[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
    fn run(mut self, source: &mut Source, stages: &watch::Receiver<Stage>) -> Traffic {
        let (begin, mut audio) = (Instant::now(), Vec::new());
        loop {
            std::thread::sleep((begin + source.next_at()).saturating_duration_since(Instant::now()));
            let frame = source.next_frame();
            let is_audio = frame.track == Track::Audio;
            if is_audio {
                audio.push(frame.payload.clone());
            }
            if is_audio && !self.sends_each {
                continue;
            }
            let sent_before = self.sent;
            for at in 0..self.viewers.len() {
                let video = (!is_audio).then_some(&frame.payload[..]);
                self.send(self.viewers[at], video, &audio);
            }
            audio.clear();
            match *stages.borrow() {
                Stage::Joining => self.sent = sent_before,
                Stage::Measuring => {}
                Stage::Over => return sent_before,
            }
        }
    }

    fn send(&mut self, viewer: SocketAddr, frame: Option<&[u8]>, audio: &[Bytes]) {
        let mut audio = audio.iter();
        if let Some(frame) = frame {
            let piece_bytes = frame.len().div_ceil(frame.len().div_ceil(PAYLOAD_BYTES));
            frame.chunks(piece_bytes).for_each(|piece| self.put(piece, piece_bytes));
            if let Some(first) = audio.next() {
                self.put(first, first.len());
            }
            self.transmit(viewer, piece_bytes + OVERHEAD_BYTES);
        }
        for packet in audio {
            self.put(packet, packet.len());
            self.transmit(viewer, packet.len() + OVERHEAD_BYTES);
        }
    }

    /// Encrypts a packet of this payload, padded to a size.
    fn put(&mut self, payload: &[u8], payload_bytes: usize) {
        let from = self.packets.len();
        self.packets.resize(from + HEAD_BYTES, 0x80);
        self.packets.extend_from_slice(payload);
        self.packets.resize(from + HEAD_BYTES + payload_bytes, 0);
        self.numbers += 1;
        let (head, payload) = self.packets[from..].split_at_mut(HEAD_BYTES);
        let Ok(tag) = self.key.encrypt_in_place(self.numbers, head, payload) else { return };
        self.packets.extend_from_slice(tag.as_ref());
        self.sent.note(HEAD_BYTES + payload_bytes + TAG_BYTES);
    }

    fn transmit(&mut self, viewer: SocketAddr, packet_bytes: usize) {
        let many = self.packets.len() > packet_bytes;
        let transmit = Transmit {
            destination: viewer,
            ecn: None,
            contents: &self.packets,
            segment_size: many.then_some(packet_bytes),
            src_ip: None,
        };
        // A viewer whose socket is full loses it, as over the server.
        let _ = self.state.try_send((&self.socket).into(), &transmit);
        self.packets.clear();
    }
}
