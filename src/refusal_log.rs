//! Log lines for connections over the limit: at most one a second.

use std::net::SocketAddr;

use log::warn;

use crate::line_limit::LineLimit;

/// Logs refused connections. Clones share what they count.
#[derive(Debug, Clone, Default)]
pub struct RefusalLog(LineLimit);

impl RefusalLog {
    /// A connection of `peer` to `port` was refused, because there are `limit` already.
    pub fn note(&self, port: &'static str, peer: SocketAddr, limit: usize) {
        if let Some(connections) = self.0.count() {
            warn!(port = port, peer:% = peer, connections = connections, limit = limit;
                "connections refused: MAX_CONNECTIONS reached");
        }
    }
}
