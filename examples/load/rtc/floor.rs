//! The floor: one thread, and for each viewer and frame the encryption of its packets and one system call, in which the kernel
//! makes datagrams of them (generic segmentation offload).

use std::{
    error::Error,
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use quinn_udp::{Transmit, UdpSocketState};
use rustls::{
    crypto::{
        aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher::{AeadKey, Iv},
    },
    quic::PacketKey,
};
use tokio::sync::watch;

use super::{report::Report, viewer::Watched};
use crate::{args::Args, publisher::Source, stage::Stage, steps::measure};

/// The server's payloads (`PAYLOAD_MAX_BYTES` of `media`).
const PAYLOAD_BYTES: usize = 1160;
/// RTP's head with the extension that browsers ask for (RFC 3550, section 5.1, and RFC 8285).
const HEAD_BYTES: usize = 12 + 8;
/// Of AES-GCM (RFC 7714, section 14.2).
const TAG_BYTES: usize = 16;
const PACKET_BYTES: usize = HEAD_BYTES + PAYLOAD_BYTES + TAG_BYTES;

/// Runs a load on it: its viewers are sockets that are not read.
pub async fn load(
    args: &Args,
    stage: &watch::Sender<Stage>,
    stages: watch::Receiver<Stage>,
) -> Result<Report, Box<dyn Error>> {
    let viewers: Vec<UdpSocket> = (0..args.viewers).map(|_| unread_socket()).collect::<io::Result<_>>()?;
    let addresses = viewers.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let sender = Sender::new(addresses)?;
    let mut source = Source::new(args.kbps, args.gop).with_opus();
    let thread = std::thread::Builder::new().name("floor".to_owned());
    thread.spawn(move || sender.run(&mut source, &stages))?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut report = Report::new(args.viewers);
    report.set_usage(measure(args, stage).await?);
    for socket in &viewers {
        let datagrams = std::iter::from_fn(|| socket.recv(&mut [0; PACKET_BYTES]).ok()).count() as u64;
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
    numbers: u64,
    /// The packets of one viewer's frame, all of one size except for the last.
    packets: Vec<u8>,
}

impl Sender {
    fn new(viewers: Vec<SocketAddr>) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let state = UdpSocketState::new((&socket).into())?;
        let suite = TLS13_AES_256_GCM_SHA384.tls13().and_then(|suite| suite.quic);
        let key = suite.ok_or("no AES-GCM")?.packet_key(AeadKey::from([7; 32]), Iv::copy(&[0; 12]));
        Ok(Self { socket, state, key, viewers, numbers: 0, packets: Vec::new() })
    }

    #[allow(clippy::disallowed_methods, reason = "a plain thread, for comparison")]
    fn run(mut self, source: &mut Source, stages: &watch::Receiver<Stage>) {
        let begin = Instant::now();
        while *stages.borrow() != Stage::Over {
            std::thread::sleep((begin + source.next_at()).saturating_duration_since(Instant::now()));
            let frame = source.next_frame();
            for at in 0..self.viewers.len() {
                self.send(self.viewers[at], &frame.payload);
            }
        }
    }

    fn send(&mut self, viewer: SocketAddr, frame: &[u8]) {
        self.packets.clear();
        for payload in frame.chunks(PAYLOAD_BYTES) {
            let from = self.packets.len();
            self.packets.resize(from + HEAD_BYTES, 0x80);
            self.packets.extend_from_slice(payload);
            self.numbers += 1;
            let (head, payload) = self.packets[from..].split_at_mut(HEAD_BYTES);
            let Ok(tag) = self.key.encrypt_in_place(self.numbers, head, payload) else { return };
            self.packets.extend_from_slice(tag.as_ref());
        }
        let many = self.packets.len() > PACKET_BYTES;
        let transmit = Transmit {
            destination: viewer,
            ecn: None,
            contents: &self.packets,
            segment_size: many.then_some(PACKET_BYTES),
            src_ip: None,
        };
        // A viewer whose socket is full loses it, as over the server.
        let _ = self.state.try_send((&self.socket).into(), &transmit);
    }
}
