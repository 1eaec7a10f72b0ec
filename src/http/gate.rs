//! The limit of connections, where HTTP ports let them in.

use std::{io, net::SocketAddr, time::Duration};

use log::debug;
use synctv_actors::permit::{Permit, Permits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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
            refuse(socket).await;
        }
        None
    }
}

/// How long one who is refused may take to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Says that the server is full. To close on a request that was not read would be a reset, which overtakes the answer.
async fn refuse(mut socket: TcpStream) {
    const BODY: &str =
        r#"{"error":"too_many_connections","message":"the server has its limit of connections"}"#;
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Retry-After: 5\r\n\
         Connection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut ignored = [0; 1024];
    let said = async {
        socket.write_all(response.as_bytes()).await?;
        socket.shutdown().await?;
        while socket.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it was read is the peer's affair.
    let _ = tokio::time::timeout(REFUSAL_TIME, said).await;
}
