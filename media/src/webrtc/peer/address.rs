//! The addresses of viewers.

use std::net::SocketAddr;

use str0m::net::Protocol;

/// The protocol that carries a peer's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection of the viewer's (RFC 6544).
    Tcp,
}

/// The viewer's side of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress {
    /// The protocol.
    pub transport: Transport,
    /// The address.
    pub remote: SocketAddr,
}

impl From<Transport> for Protocol {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
        }
    }
}

impl From<Protocol> for Transport {
    /// There are candidates of these two alone.
    fn from(protocol: Protocol) -> Self {
        if protocol == Protocol::Tcp { Self::Tcp } else { Self::Udp }
    }
}
