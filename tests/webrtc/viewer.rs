//! A viewer over UDP.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use synctv_testkit::{
    server::TestServer,
    whep::{Player, ReceivedPacket, SDP, post},
};

/// RTP ticks of video in a second.
const VIDEO_CLOCK_HZ: u32 = 90_000;

pub struct Viewer {
    socket: UdpSocket,
    player: Player,
}

impl Viewer {
    /// Opens a session and answers nothing yet.
    pub fn open(server: &TestServer, room: &str) -> Self {
        let socket = socket();
        let (mut player, offer) = Player::offer(socket.local_addr().unwrap(), now()).unwrap();
        let answer = post(server.http, &format!("/{room}/whep"), &[SDP], &offer);
        assert_eq!(answer.status, 201, "{}", answer.text());
        player.accept(&answer.text()).unwrap();
        Self { socket, player }
    }

    /// Changes to another port without its player's knowledge, as behind a router that assigns a new one.
    pub fn change_port(&mut self) {
        self.socket = socket();
    }

    /// Takes what has come, and returns the packets of video.
    pub fn take_video(&mut self) -> Vec<ReceivedPacket> {
        let Self { socket, player } = self;
        let send = |to, bytes: &[u8]| drop(socket.send_to(bytes, to));
        player.wake(now(), send).unwrap();
        let mut buffer = [0; 2048];
        // It waits for the first alone. The kernel drops what is not read in time.
        while let Ok((size, from)) = socket.recv_from(&mut buffer) {
            player.receive(&buffer[..size], from, now(), send).unwrap();
            socket.set_nonblocking(true).unwrap();
        }
        socket.set_nonblocking(false).unwrap();
        let is_video = |packet: &ReceivedPacket| packet.clock_hz == VIDEO_CLOCK_HZ;
        player.take_packets().into_iter().filter(is_video).collect()
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket
}

#[allow(clippy::disallowed_methods, reason = "the player's clock")]
fn now() -> Instant {
    Instant::now()
}
