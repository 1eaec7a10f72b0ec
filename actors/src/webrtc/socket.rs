//! The UDP socket of all WebRTC viewers. One thread reads it, and all threads with viewers send on it.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket},
    sync::Arc,
};

use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::{Interest, unix::AsyncFd};

/// The kernel's buffers, in bytes, as far as it allows: a keyframe for a thousand viewers, and what they answer.
const KERNEL_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Buffers of one read.
const BUFFERS: usize = 8;

/// The size of a buffer, in bytes: the kernel may join datagrams of one sender.
const BUFFER_BYTES: usize = 64 * 1024;

/// A socket that can be shared. A datagram that the kernel does not take at once is lost, as datagrams may be: receivers ask
/// for it again.
#[derive(Debug, Clone)]
pub(super) struct WebRtcSocket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    state: UdpSocketState,
    bound: SocketAddr,
}

/// The reading side.
pub(super) struct WebRtcReader {
    /// It waits for datagrams alone. The runtime's own kind of socket waits for room to write as well, and the reading thread
    /// would be woken for each datagram that another thread has sent.
    socket: AsyncFd<UdpSocket>,
    shared: WebRtcSocket,
    buffers: Vec<Vec<u8>>,
}

/// A datagram that was received.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub remote: SocketAddr,
    /// The host's address at which it arrived, if the kernel says it.
    pub local: Option<IpAddr>,
    pub bytes: Bytes,
    /// The connection that it arrived on, if it is a packet of one.
    pub connection: Option<Arc<TcpStream>>,
}

impl WebRtcSocket {
    /// Prepares a bound socket.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let state = UdpSocketState::new((&socket).into())?;
        // The kernel's own sizes serve fewer viewers, and serve.
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        Ok(Self(Arc::new(Shared { socket, state, bound })))
    }

    /// Returns the address that the socket is bound to.
    pub fn bound(&self) -> SocketAddr {
        self.0.bound
    }

    /// Returns the most datagrams that the kernel takes in one call.
    pub fn segments_max(&self) -> usize {
        self.0.state.max_gso_segments()
    }

    /// Sends a datagram from one of the host's addresses, or from the one that the kernel chooses. With `segment_bytes`, the bytes
    /// are several datagrams of that size, of which the last may be shorter.
    pub fn send(
        &self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        bytes: &[u8],
        segment_bytes: Option<usize>,
    ) -> io::Result<()> {
        let shared = &*self.0;
        let destination = SocketAddr::new(shared.to_wire(remote.ip()), remote.port());
        let src_ip = local.map(|local| shared.to_wire(local));
        let transmit =
            Transmit { destination, ecn: None, contents: bytes, segment_size: segment_bytes, src_ip };
        shared.state.try_send((&shared.socket).into(), &transmit)
    }

    /// Makes the reading side, on the current thread.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types that do not own their descriptor; this one does"
    )]
    pub fn reader(&self) -> io::Result<WebRtcReader> {
        let socket = AsyncFd::with_interest(self.0.socket.try_clone()?, Interest::READABLE)?;
        Ok(WebRtcReader { socket, shared: self.clone(), buffers: vec![vec![0; BUFFER_BYTES]; BUFFERS] })
    }
}

impl WebRtcReader {
    /// Waits for datagrams, and returns those that are there.
    pub async fn read(&mut self) -> io::Result<Vec<Datagram>> {
        let Self { socket, shared, buffers } = self;
        let mut metas = [RecvMeta::default(); BUFFERS];
        let count = loop {
            let mut ready = socket.readable().await?;
            let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            let read =
                ready.try_io(|socket| shared.0.state.recv(socket.get_ref().into(), &mut slices, &mut metas));
            if let Ok(count) = read {
                break count?;
            }
        };
        Ok(self.datagrams(metas.get(..count).unwrap_or_default()))
    }

    /// Copies what was read out of the buffers.
    fn datagrams(&self, metas: &[RecvMeta]) -> Vec<Datagram> {
        let mut datagrams = Vec::with_capacity(metas.len());
        for (buffer, meta) in self.buffers.iter().zip(metas) {
            let remote = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let local = meta.dst_ip.map(|ip| ip.to_canonical());
            let joined = buffer.get(..meta.len).unwrap_or_default();
            datagrams.extend(joined.chunks(meta.stride.max(1)).map(|bytes| Datagram {
                remote,
                local,
                bytes: Bytes::copy_from_slice(bytes),
                connection: None,
            }));
        }
        datagrams
    }
}

impl Shared {
    /// A socket of IPv6 names IPv4 addresses in its own way.
    fn to_wire(&self, ip: IpAddr) -> IpAddr {
        match (self.bound, ip) {
            (SocketAddr::V6(SocketAddrV6 { .. }), IpAddr::V4(ip)) => IpAddr::V6(ip.to_ipv6_mapped()),
            _ => ip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn datagrams_are_received_with_both_addresses_and_answered_from_where_they_arrived() {
        let socket = WebRtcSocket::new(UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
        let mut reader = socket.reader().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 2], socket.bound().port()));
        peer.send_to(b"hello", address).unwrap();
        let read = reader.read().await.unwrap();
        let [datagram] = &read[..] else { panic!("{read:?}") };
        assert_eq!((datagram.remote, &*datagram.bytes), (peer.local_addr().unwrap(), &b"hello"[..]));
        assert_eq!(datagram.local, Some(address.ip()));
        socket.send(datagram.remote, datagram.local, b"answer", None).unwrap();
        let mut buffer = [0; 16];
        let (size, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..size], from), (&b"answer"[..], address));
    }

    #[actix_rt::test]
    async fn a_socket_of_ipv6_serves_ipv4_alike() {
        let socket = WebRtcSocket::new(UdpSocket::bind("[::]:0").unwrap()).unwrap();
        let mut reader = socket.reader().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"hello", ("127.0.0.1", socket.bound().port())).unwrap();
        let datagram = reader.read().await.unwrap().remove(0);
        assert_eq!(datagram.remote, peer.local_addr().unwrap());
        socket.send(datagram.remote, datagram.local, b"answer", None).unwrap();
        assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 6);
    }
}
