//! TLS that comes to a port that does not speak it: a mistake in an address, which the log names.

use std::{fmt, net::SocketAddr};

use log::info;
use synctv_actors::tls::TLS_FIRST_BYTE;

use crate::line_limit::LineLimit;

/// The TLS port, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlsElsewhere(pub Option<u16>);

impl fmt::Display for TlsElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(port) => write!(f, "TLS is on port {port}"),
            None => f.write_str("TLS is off"),
        }
    }
}

/// Knows TLS, and logs it. Clones share the log.
#[derive(Debug, Clone)]
pub(crate) struct TlsOnPlainPort {
    port: &'static str,
    elsewhere: TlsElsewhere,
    limit: LineLimit,
}

impl TlsOnPlainPort {
    /// Looks at what comes to `port`.
    pub fn new(port: &'static str, elsewhere: TlsElsewhere) -> Self {
        Self { port, elsewhere, limit: LineLimit::default() }
    }

    /// Returns whether a connection begins like TLS; the log then names the TLS port.
    pub fn note(&self, first_byte: Option<u8>, peer: SocketAddr) -> bool {
        let is_tls = first_byte == Some(TLS_FIRST_BYTE);
        if is_tls && let Some(connections) = self.limit.count() {
            info!(port = self.port, peer:% = peer, connections = connections, why:% = self.elsewhere;
                "TLS on a plain port");
        }
        is_tls
    }
}
