//! The connection of one viewer: its peer, and the ways of its datagrams.

use std::{fmt, net::SocketAddr, time::Instant};

use synctv_media::webrtc::peer::{DatagramSink, Peer, PeerAddress, PeerNews, Transport, is_check};

use super::{
    batch_sender::{BatchSender, Sent},
    socket::Datagram,
    tcp_writer::TcpWriter,
};
use crate::viewer_session::{Delivered, LeaveReason};

/// Maximum addresses that a viewer's checks may come from in a session. A browser has a few, and another one each time that its network
/// changes. The library keeps and sorts all that it has seen, and cannot forget one: this limit is for the whole session, while
/// routing, which forgets the oldest address, needs room only for those in use at one time.
const REMOTES_MAX: usize = 32;

/// A viewer's connection. The port's thread makes the handshake and then hands it to the thread that sends media.
pub(super) struct ViewerLink {
    peer: Peer,
    /// Its TCP connections. The port limits the number of those that are read; others are closed with the next check.
    connections: Vec<TcpWriter>,
    /// The addresses that its checks came from.
    remotes: Vec<SocketAddr>,
    /// Its last connectivity check.
    checked: Option<Instant>,
    delivered: Delivered,
}

/// The way of a viewer's datagrams, and the count of them.
pub(super) struct Outlet<'a> {
    sender: &'a BatchSender,
    connections: &'a mut [TcpWriter],
    delivered: &'a mut Delivered,
}

impl ViewerLink {
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            connections: Vec::new(),
            remotes: Vec::new(),
            checked: None,
            delivered: Delivered::default(),
        }
    }

    /// Takes what the viewer sent. [`transmit`](Self::transmit) has to follow.
    pub fn receive(
        &mut self,
        datagram: &Datagram,
        sender: &BatchSender,
        now: Instant,
    ) -> Result<(), LeaveReason> {
        let is_check = is_check(&datagram.bytes);
        if is_check && !self.admit_remote(datagram.remote) {
            return Ok(());
        }
        let transport = self.transport(datagram);
        if is_check {
            self.checked = Some(now);
            self.connections.retain(TcpWriter::is_read);
        }
        let bound = sender.socket().bound();
        let local = SocketAddr::new(datagram.local.unwrap_or(bound.ip()), bound.port());
        let from = PeerAddress { transport, remote: datagram.remote, local: datagram.local };
        self.peer.receive(&datagram.bytes, from, local, now).map_err(failed)
    }

    /// Notes a check's address. Returns `false` if it exceeds the limit.
    fn admit_remote(&mut self, remote: SocketAddr) -> bool {
        let is_known = self.remotes.contains(&remote);
        if !is_known && self.remotes.len() < REMOTES_MAX {
            self.remotes.push(remote);
            return true;
        }
        is_known
    }

    /// Keeps the connection that a packet came on, for what is sent there.
    fn transport(&mut self, datagram: &Datagram) -> Transport {
        let Some(connection) = &datagram.connection else { return Transport::Udp };
        if !self.connections.iter().any(|writer| writer.is_of(connection)) {
            // Another one from the same address is closed by now.
            self.connections.retain(|writer| writer.remote != datagram.remote);
            self.connections.push(TcpWriter::new(datagram.remote, connection.clone()));
        }
        Transport::Tcp
    }

    /// Sends what was written, and what is due.
    pub fn transmit(&mut self, sender: &BatchSender, now: Instant) -> Result<PeerNews, LeaveReason> {
        let (peer, mut outlet) = self.outlet(sender);
        let woken = peer.wake(now, &mut outlet);
        note(&mut self.delivered, sender.flush());
        woken.map_err(failed)
    }

    /// Closes the connection.
    pub fn close(&mut self, sender: &BatchSender, now: Instant) {
        self.peer.close();
        // It is over, whether or not that arrives.
        let _ = self.transmit(sender, now);
    }

    /// Returns the peer, and where it writes to.
    pub fn outlet<'a>(&'a mut self, sender: &'a BatchSender) -> (&'a mut Peer, Outlet<'a>) {
        let Self { peer, connections, delivered, .. } = self;
        (peer, Outlet { sender, connections, delivered })
    }

    /// Returns whether audio is sent to the viewer.
    pub fn has_audio(&self) -> bool {
        self.peer.has_audio()
    }

    /// Returns when [`transmit`](Self::transmit) is due, if nothing comes before.
    pub fn wake_at(&self) -> Instant {
        self.peer.wake_at()
    }

    /// Returns when the last connectivity check came.
    pub fn checked(&self) -> Option<Instant> {
        self.checked
    }

    /// Returns the amount that was sent.
    pub fn delivered(&self) -> Delivered {
        self.delivered
    }
}

impl DatagramSink for Outlet<'_> {
    fn put(&mut self, to: PeerAddress, size: usize, write: impl FnOnce(&mut [u8]) -> bool) {
        let sent = match to.transport {
            Transport::Udp => self.sender.put(to.remote, to.local, size, write),
            Transport::Tcp => {
                let mut packet = vec![0; size];
                if !write(&mut packet) {
                    return;
                }
                send_on(self.connections, to.remote, &packet)
            }
        };
        note(self.delivered, sent);
    }
}

fn note(delivered: &mut Delivered, sent: Sent) {
    delivered.sent_bytes += sent.bytes;
    delivered.dropped.tags += sent.dropped;
}

/// Sends a packet on one of the viewer's connections.
fn send_on(connections: &mut [TcpWriter], remote: SocketAddr, bytes: &[u8]) -> Sent {
    let connection = connections.iter_mut().find(|connection| connection.remote == remote);
    let is_sent = connection.is_some_and(|connection| connection.send(bytes).is_ok());
    if is_sent { Sent { bytes: bytes.len() as u64, dropped: 0 } } else { Sent { bytes: 0, dropped: 1 } }
}

fn failed(error: impl fmt::Display) -> LeaveReason {
    LeaveReason::Closed(error.to_string())
}
