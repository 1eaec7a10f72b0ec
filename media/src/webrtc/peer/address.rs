//! The addresses of viewers.

use std::net::{IpAddr, SocketAddr};

use str0m::net::Protocol;

/// The protocol that carries a peer's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection of the viewer's (RFC 6544).
    Tcp,
}

/// A path to a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress {
    /// The protocol.
    pub transport: Transport,
    /// The viewer's address.
    pub remote: SocketAddr,
    /// The host's address at which its datagrams arrive, and from which it expects those to it. `None` leaves the choice to the kernel.
    pub local: Option<IpAddr>,
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
