//! The limit of connections, where HTTP ports let them in.

use std::net::SocketAddr;

use log::debug;
use synctv_actors::permit::{Permit, Permits};
use tokio::net::TcpStream;

use super::refusal::refuse;
use crate::refusals::Refusals;

/// How many connections over the limit may be told so at once.
const ANSWERS_MAX: usize = 256;

/// Lets connections in up to a limit, and tells the others.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    port: &'static str,
    permits: Permits,
    refusals: Refusals,
    /// Of connections over the limit, those that are told so. More are just closed.
    answers: Permits,
}

impl Gate {
    /// The gate of a port. Its clones share what it counts.
    pub fn new(port: &'static str, permits: Permits) -> Self {
        Self { port, permits, refusals: Refusals::default(), answers: Permits::new(ANSWERS_MAX) }
    }

    /// Lets a connection in, if there is room for it and still a peer to serve.
    pub async fn admit(&self, socket: TcpStream) -> Option<(Permit, TcpStream, SocketAddr)> {
        let peer = socket.peer_addr().ok()?;
        if let Some(permit) = self.permits.take() {
            if let Err(error) = socket.set_nodelay(true) {
                debug!(peer:% = peer, reason:% = error; "TCP_NODELAY could not be set");
            }
            return Some((permit, socket, peer));
        }
        self.refusals.note(self.port, peer, self.permits.max());
        if let Some(_turn) = self.answers.take() {
            refuse(socket, "too_many_connections", "the server has its limit of connections").await;
        }
        None
    }
}
