//! Datagrams that go to the kernel together.

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
};

use super::socket::WebRtcSocket;

/// The most bytes of one call: what the length field of UDP has room for, without headers.
const BATCH_MAX_BYTES: usize = 65_000;

/// Sends on the one socket for the viewers of one actor.
///
/// The packets of a frame are of one size, and one of audio that follows may be smaller. Packets to one address take one system call and one walk through the
/// kernel's network stack (generic segmentation offload), where the kernel has that.
pub(super) struct BatchSender {
    socket: WebRtcSocket,
    batch: Cell<Batch>,
}

/// The fate of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// Datagrams that it did not take.
    pub dropped: u64,
}

/// Datagrams of one size, but for the last, to one address.
#[derive(Default)]
struct Batch {
    to: Option<(SocketAddr, Option<IpAddr>)>,
    /// The buffer, which only grows: filling it with zeros again for each packet would be a second copy.
    buffer: Vec<u8>,
    /// The part of it that is in use, in bytes.
    used_bytes: usize,
    segment_bytes: usize,
    count: usize,
}

impl BatchSender {
    pub fn new(socket: WebRtcSocket) -> Self {
        Self { socket, batch: Cell::default() }
    }

    /// Returns the socket.
    pub fn socket(&self) -> &WebRtcSocket {
        &self.socket
    }

    /// Takes a datagram of a size, which `write` fills in unless it returns `false`. Earlier ones that do not go with it are sent.
    /// [`flush`](Self::flush) has to follow.
    pub fn put(
        &self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        size: usize,
        write: impl FnOnce(&mut [u8]) -> bool,
    ) -> Sent {
        let mut batch = self.batch.take();
        let to = (remote, local);
        let fits = batch.takes(to, size) && batch.count < self.socket.segments_max();
        let sent = if fits { Sent::default() } else { batch.send(&self.socket) };
        batch.push(to, size, write);
        self.batch.set(batch);
        sent
    }

    /// Sends what was taken.
    pub fn flush(&self) -> Sent {
        let mut batch = self.batch.take();
        let sent = batch.send(&self.socket);
        self.batch.set(batch);
        sent
    }
}

impl Batch {
    /// Returns whether a datagram can be its next one: a shorter one is its last.
    fn takes(&self, to: (SocketAddr, Option<IpAddr>), size_bytes: usize) -> bool {
        let is_open = self.used_bytes == self.count * self.segment_bytes;
        self.to == Some(to)
            && is_open
            && size_bytes <= self.segment_bytes
            && self.used_bytes + size_bytes <= BATCH_MAX_BYTES
    }

    fn push(
        &mut self,
        to: (SocketAddr, Option<IpAddr>),
        size_bytes: usize,
        write: impl FnOnce(&mut [u8]) -> bool,
    ) {
        let end = self.used_bytes + size_bytes;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        if !self.buffer.get_mut(self.used_bytes..end).is_some_and(write) {
            return;
        }
        self.used_bytes = end;
        if self.count == 0 {
            (self.to, self.segment_bytes) = (Some(to), size_bytes);
        }
        self.count += 1;
    }

    fn send(&mut self, socket: &WebRtcSocket) -> Sent {
        let Some((remote, local)) = self.to.take() else { return Sent::default() };
        let segment_bytes = (self.count > 1).then_some(self.segment_bytes);
        let (bytes, count) = (self.used_bytes as u64, self.count as u64);
        let contents = self.buffer.get(..self.used_bytes).unwrap_or_default();
        let sent = socket.send(remote, local, contents, segment_bytes);
        (self.used_bytes, self.count) = (0, 0);
        if sent.is_ok() { Sent { bytes, dropped: 0 } } else { Sent { bytes: 0, dropped: count } }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, time::Duration};

    use super::*;

    #[test]
    fn datagrams_arrive_one_by_one_and_in_order() {
        let sender = BatchSender::new(WebRtcSocket::new(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap());
        let peers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut expected = [Vec::new(), Vec::new()];
        let mut sent = Sent::default();
        let mut count = |more: Sent| {
            sent.bytes += more.bytes;
            sent.dropped += more.dropped;
        };
        // Runs of one size with a shorter end, a longer one, another address, and more than one call takes.
        let sizes = [(0, 1000), (0, 1000), (0, 7), (0, 7), (0, 1200), (1, 1200), (1, 1200), (0, 1200)];
        let many = [(1, 1000); 70];
        for (at, (peer, size)) in sizes.into_iter().chain(many).enumerate() {
            let datagram = vec![at as u8; size];
            let remote = peers[peer].local_addr().unwrap();
            let fill = |is_there: bool| {
                let datagram = &datagram;
                move |place: &mut [u8]| {
                    place.copy_from_slice(datagram);
                    is_there
                }
            };
            count(sender.put(remote, None, size, fill(true)));
            // One that cannot be written leaves no trace.
            count(sender.put(remote, None, size, fill(false)));
            expected[peer].push(datagram);
        }
        count(sender.flush());
        assert_eq!(sender.flush(), Sent::default());
        let bytes = expected.iter().flatten().map(|datagram| datagram.len() as u64).sum();
        assert_eq!(sent, Sent { bytes, dropped: 0 });
        for (peer, expected) in peers.iter().zip(expected) {
            peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let mut buffer = [0; 2000];
            for datagram in expected {
                let size = peer.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..size], datagram);
            }
        }
    }
}
