//! TLS under viewers, publishers and HTTP requests: the record layer, the connection, and the handshakes.

mod handshaker;
mod session;
mod wire;

pub(crate) use self::wire::{receive_announced, receive_unannounced};
pub use self::{
    handshaker::{HandshakeCounts, HandshakeError, Handshaker},
    wire::TlsWire,
};

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, section 5.1).
pub const TLS_FIRST_BYTE: u8 = 22;
