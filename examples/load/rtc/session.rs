//! A viewer's session: the offer, the connection, and the end.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use synctv_testkit::{
    http::Response,
    whep::{Player, ReceivedPacket, is_of_connection},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout_at,
};

use super::traffic::Traffic;

/// Time limit for a session to be connected.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the largest datagram, in bytes.
const DATAGRAM_MAX_BYTES: usize = 2048;

/// A session on a socket of its own.
pub struct Session {
    http: SocketAddr,
    location: String,
    socket: UdpSocket,
    player: Player,
    /// The media that turns have read.
    traffic: Traffic,
}

impl Session {
    /// Sends an offer, and takes the answer.
    pub async fn open(http: SocketAddr, room: &str) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let (mut player, offer) = Player::offer(socket.local_addr()?, now())?;
        let answer = request(http, "POST", &format!("/{room}/whep"), &offer).await?;
        if answer.status != 201 {
            return Err(format!("the offer was refused: {} {}", answer.status, answer.text()).into());
        }
        player.accept(&answer.text())?;
        let location = answer.header("location").to_owned();
        Ok(Self { http, location, socket, player, traffic: Traffic::default() })
    }

    /// Waits until media can be decrypted.
    pub async fn connect(&mut self) -> Result<(), Box<dyn Error>> {
        let deadline = tokio::time::Instant::now() + CONNECT_TIMEOUT;
        while !self.player.is_connected() {
            if tokio::time::Instant::now() >= deadline {
                return Err("the session was not connected in time".into());
            }
            self.turn().await?;
        }
        Ok(())
    }

    /// Waits for a datagram or a timer, and lets the player act.
    pub async fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        let Self { socket, player, traffic, .. } = self;
        player.wake(now(), |to, bytes| send(socket, to, bytes))?;
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        match timeout_at(player.wake_at().into(), socket.recv_from(&mut buffer)).await {
            Ok(received) => {
                let (size, from) = received?;
                note(traffic, &buffer[..size]);
                player.receive(&buffer[..size], from, now(), |to, bytes| send(socket, to, bytes))?;
                // Those that came with it, without a wait for each.
                while let Ok((size, from)) = socket.try_recv_from(&mut buffer) {
                    note(traffic, &buffer[..size]);
                    player.receive(&buffer[..size], from, now(), |to, bytes| send(socket, to, bytes))?;
                }
            }
            Err(_) => player.wake(now(), |to, bytes| send(socket, to, bytes))?,
        }
        Ok(())
    }

    /// Makes the kernel drop most of what comes from now on: an unread socket costs this machine least.
    pub fn leave_unread(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).set_recv_buffer_size(0)
    }

    /// Keeps the session alive: reads what the kernel kept, without a look at the media, and lets the player check the connection.
    /// Returns the number of datagrams of media.
    pub fn drain(&mut self) -> Result<u64, Box<dyn Error>> {
        let Self { socket, player, .. } = self;
        let (mut media, mut buffer) = (0, [0; DATAGRAM_MAX_BYTES]);
        while let Ok((size, from)) = socket.try_recv_from(&mut buffer) {
            if is_of_connection(&buffer[..size]) {
                player.receive(&buffer[..size], from, now(), |to, bytes| send(socket, to, bytes))?;
            } else {
                media += 1;
            }
        }
        player.wake(now(), |to, bytes| send(socket, to, bytes))?;
        Ok(media)
    }

    /// The media that turns have read since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// The packets that were decrypted since the last call.
    pub fn take_packets(&mut self) -> Vec<ReceivedPacket> {
        self.player.take_packets()
    }

    /// Ends the session.
    pub async fn close(self) -> Result<(), Box<dyn Error>> {
        let answer = request(self.http, "DELETE", &self.location, "").await?;
        if answer.status == 200 { Ok(()) } else { Err(format!("not closed: {}", answer.status).into()) }
    }
}

fn note(traffic: &mut Traffic, datagram: &[u8]) {
    if !is_of_connection(datagram) {
        traffic.note(datagram.len());
    }
}

/// A datagram that is not accepted is lost, like others.
fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    let _ = socket.try_send_to(bytes, to);
}

#[allow(clippy::disallowed_methods, reason = "the player's clock")]
fn now() -> Instant {
    Instant::now()
}

async fn request(http: SocketAddr, method: &str, path: &str, body: &str) -> Result<Response, Box<dyn Error>> {
    let mut socket = TcpStream::connect(http).await?;
    let size = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: load\r\nConnection: close\r\nContent-Type: application/sdp\r\nContent-Length: {size}\r\n\r\n"
    );
    socket.write_all((head + body).as_bytes()).await?;
    let mut read = Vec::new();
    socket.read_to_end(&mut read).await?;
    Response::parse(&read)?.ok_or_else(|| "the answer has no end".into())
}
