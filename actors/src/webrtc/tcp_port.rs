//! ICE over TCP (RFC 6544): connections of viewers whose network lets no UDP through.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix::Recipient;
use bytes::Bytes;
use log::debug;
use synctv_media::webrtc::framing::PacketReader;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_local,
    time::timeout,
};

use super::{
    messages::{AdmitConnection, ConnectionClosed, FromConnection},
    socket::Datagram,
};

/// The most connections that have not named their session.
const UNKNOWN_MAX: usize = 100;

/// Time limit for a connection to name its session, with its first packet.
const FIRST_PACKET_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for each further packet. Viewers check their connection every few seconds (RFC 7675), and a session whose
/// viewer is silent ends before that.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The pause after a failed accept, which usually means that the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The recipients of what connections bring.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPort {
    pub admit: Recipient<AdmitConnection>,
    pub packets: Recipient<FromConnection>,
    pub closed: Recipient<ConnectionClosed>,
}

/// A viewer's connection.
struct Connection {
    reading: TcpStream,
    reader: PacketReader,
    writing: Arc<std::net::TcpStream>,
    remote: SocketAddr,
}

/// Accepts connections until it is aborted.
pub(super) async fn accept_on(listener: TcpListener, port: ConnectionPort) {
    let unknown = Arc::new(Semaphore::new(UNKNOWN_MAX));
    loop {
        match listener.accept().await {
            // At the limit, the connection is closed.
            Ok((stream, remote)) => {
                if let Ok(permit) = unknown.clone().try_acquire_owned() {
                    spawn_local(serve(stream, remote, port.clone(), permit));
                }
            }
            Err(reason) => {
                debug!(reason:% = reason; "a WebRTC viewer's TCP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, port: ConnectionPort, permit: OwnedSemaphorePermit) {
    let Ok(mut connection) = Connection::new(stream, remote) else { return };
    let Some(first) = connection.read(FIRST_PACKET_TIMEOUT).await else { return };
    let admit = AdmitConnection { first: first.clone() };
    let Ok(Some(id)) = port.admit.send(admit).await else { return };
    drop(permit);
    let mut next = Some(first);
    while let Some(packet) = next {
        let datagram = connection.datagram(packet);
        if port.packets.send(FromConnection { id, datagram }).await != Ok(true) {
            break;
        }
        next = connection.read(SILENCE_MAX).await;
    }
    port.closed.do_send(ConnectionClosed(id));
}

impl Connection {
    fn new(stream: TcpStream, remote: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let writing = stream.into_std()?;
        let reading = TcpStream::from_std(writing.try_clone()?)?;
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Ok(Self { reading, reader: PacketReader::default(), writing: Arc::new(writing), remote })
    }

    /// Returns the next packet; `None` at the end of the connection, or in place of one that is late or too large.
    async fn read(&mut self, limit: Duration) -> Option<Bytes> {
        timeout(limit, async {
            loop {
                if let Some(packet) = self.reader.next_packet().ok()? {
                    return Some(packet);
                }
                if self.reading.read_buf(self.reader.buffer()).await.ok()? == 0 {
                    return None;
                }
            }
        })
        .await
        .ok()
        .flatten()
    }

    fn datagram(&self, bytes: Bytes) -> Datagram {
        let local = self.writing.local_addr().ok().map(|local| local.ip().to_canonical());
        Datagram { remote: self.remote, local, bytes, connection: Some(self.writing.clone()) }
    }
}
