//! Blocking sockets, each with a time limit on reads and writes.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use crate::wait::{PATIENCE, now};

/// Connects, with a limit on reads and writes.
pub fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts");
    socket.set_nodelay(true).expect("TCP_NODELAY can be set");
    socket.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// Connects from another address of this host: all of 127.0.0.0/8 are.
pub fn dial_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("the address is this host's");
    socket.connect(&address.into()).expect("the server accepts");
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// Connects with a small receive buffer, so that the kernel holds little for a peer that does not read.
pub fn dial_with_small_buffer(address: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    // The window follows from the buffer at the time of the handshake.
    socket.set_recv_buffer_size(64 * 1024).expect("SO_RCVBUF can be set");
    socket.connect(&address.into()).expect("the server accepts");
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// Enlarges the receive buffer of [`dial_with_small_buffer`], so that the peer can catch up.
pub fn widen(socket: &TcpStream) {
    socket2::SockRef::from(socket).set_recv_buffer_size(1 << 20).expect("SO_RCVBUF can be set");
}

/// A port of this host at which nothing listens, nor can while this is kept: a connection has it as its own.
#[derive(Debug)]
pub struct RefusingPort {
    connected: TcpStream,
    _listener: TcpListener,
}

impl RefusingPort {
    /// Takes one.
    pub fn hold() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        Self { connected: dial(address), _listener: listener }
    }

    /// Returns its address, which refuses connections.
    pub fn address(&self) -> SocketAddr {
        self.connected.local_addr().expect("it has an address")
    }
}

/// Holds a UDP port, together with other runs of the tests that hold it so; not if another program has it already.
pub fn hold_udp_port(address: SocketAddr) -> Option<UdpSocket> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR can be set");
    socket.bind(&address.into()).is_ok().then(|| socket.into())
}

/// Lets reads of `socket` end at `deadline`.
pub fn wait_no_longer_than(socket: &TcpStream, deadline: Instant) {
    // No time at all would mean no limit.
    let left = deadline.saturating_duration_since(now()).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(left)).expect("a timeout can be set");
}

/// Returns whether a read ended because of the socket's timeout.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Reads the available bytes. A signal to the process is no answer from the peer.
pub fn receive(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Reads until the peer closes the connection, in whatever way.
pub fn read_to_close(socket: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    if let Err(error) = socket.read_to_end(&mut read) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
    read
}
