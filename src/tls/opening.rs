//! Handshakes, as the ports have them made.

use std::net::SocketAddr;

use log::info;
use synctv_actors::tls::{Handshaker, TlsWire};
use tokio::net::TcpStream;

use crate::line_limit::LineLimit;

/// Returns the connection, or logs why there is none: once a second at most.
pub(super) async fn shake_hands(
    handshaker: &Handshaker,
    failures: &LineLimit,
    socket: TcpStream,
    peer: SocketAddr,
) -> Option<TlsWire> {
    let accepted = handshaker.accept(socket).await;
    let accepted = accepted.inspect_err(|error| {
        if let Some(connections) = failures.count() {
            info!(peer:% = peer, connections = connections, why:% = error; "TLS connection refused");
        }
    });
    accepted.ok()
}
