//! The limit of connections, where HTTP ports let them in.

use std::net::SocketAddr;

use synctv_actors::{
    connection_limit::{ConnectionLimit, ConnectionPermit},
    wire::Wire,
};
use tokio::net::TcpStream;

use super::{api_error::ApiError, refusal::refuse};
use crate::refusal_log::RefusalLog;

/// Maximum connections over the limit that are answered at once.
const ANSWERS_MAX: usize = 256;

/// A connection that was let in.
pub(crate) struct Connection {
    /// The socket.
    pub wire: Wire,
    /// The other end, which may be a proxy.
    pub peer: SocketAddr,
    /// Its place below the limit.
    pub permit: ConnectionPermit,
}

/// Admits connections up to a limit, and answers the others.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionGate {
    port: &'static str,
    permits: ConnectionLimit,
    refusals: RefusalLog,
    /// Permits of connections over the limit that are answered. More are closed without an answer.
    answers: ConnectionLimit,
}

/// A connection, in front of the gate.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// There is room for it.
    In(ConnectionPermit, Wire, SocketAddr),
    /// It is over the limit, and is answered.
    Over(ConnectionPermit, Wire, SocketAddr),
}

impl ConnectionGate {
    /// The gate of a port. Its clones share what it counts.
    pub fn new(port: &'static str, permits: ConnectionLimit) -> Self {
        Self { port, permits, refusals: RefusalLog::default(), answers: ConnectionLimit::new(ANSWERS_MAX) }
    }

    /// Counts a connection that was refused because it does not speak TLS.
    pub fn note_refused_plain(&self) {
        self.permits.note_refused_plain();
    }

    /// Admits a connection below the limit whose peer is still connected. Others are refused with an answer.
    pub async fn admit(&self, socket: TcpStream) -> Option<(ConnectionPermit, Wire, SocketAddr)> {
        match self.look_at(socket)? {
            Arrival::In(permit, wire, peer) => Some((permit, wire, peer)),
            Arrival::Over(_turn, wire, _) => {
                refuse_over_limit(wire).await;
                None
            }
        }
    }

    /// Decides about a connection. `None` if the peer has disconnected, or there is no task left to refuse it with.
    pub fn look_at(&self, socket: TcpStream) -> Option<Arrival> {
        let wire = Wire::from(socket);
        let peer = wire.peer_addr().ok()?;
        if let Some(permit) = self.permits.take() {
            wire.set_nodelay(peer);
            return Some(Arrival::In(permit, wire, peer));
        }
        self.permits.note_refused();
        self.refusals.note(self.port, peer, self.permits.max());
        Some(Arrival::Over(self.answers.take()?, wire, peer))
    }
}

/// Says 503 for want of room.
pub(super) async fn refuse_over_limit(wire: Wire) {
    refuse(wire, &ApiError::too_many_connections()).await;
}
