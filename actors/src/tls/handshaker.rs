//! Handshakes, on threads of their own: a signature takes as long as a hundred writes, and viewers come together.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_rt::{Arbiter, ArbiterHandle};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::wire::TlsWire;
use crate::metrics::{Counter, Histogram};

/// Maximum handshakes of one thread under way. A peer that does not go on with its own holds a place until it times out, so
/// there are about as many as a thread can make in a second: fewer, and some hundred such peers would keep all others waiting.
/// One takes 13 KB with half a ClientHello, 15 KB when it waits for the client's answer, and at most 31 KB, with as much of a
/// ClientHello as is kept: 64 MB for a thread. Further ones wait, with their time running.
const UNDER_WAY_MAX: usize = 2048;

/// Upper bounds of the histogram of handshakes, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

/// Makes the handshakes of a port. Clones share its threads.
#[derive(Debug, Clone)]
pub struct Handshaker {
    threads: Arc<[HandshakeThread]>,
    next: Arc<AtomicUsize>,
    config: Arc<ServerConfig>,
    timeout: Duration,
    counts: Arc<HandshakeCounts>,
}

#[derive(Debug)]
struct HandshakeThread {
    arbiter: ArbiterHandle,
    under_way: Arc<Semaphore>,
}

/// Handshakes that ended, since the start.
#[derive(Debug)]
pub struct HandshakeCounts {
    /// Connections that were opened.
    pub completed: Counter,
    /// Handshakes that the client or the server broke off.
    pub failed: Counter,
    /// Handshakes that took too long.
    pub timed_out: Counter,
    /// Durations of those that opened a connection, from its first byte on: the wait for a place, round trips and signature.
    pub seconds: Histogram,
}

impl Default for HandshakeCounts {
    fn default() -> Self {
        let [completed, failed, timed_out] = Default::default();
        Self { completed, failed, timed_out, seconds: Histogram::new(SECONDS) }
    }
}

/// The reason a connection was not opened.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// It was broken off.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
    /// The client did not go on with it.
    #[error("no TLS handshake within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The server stops.
    #[error("no thread makes TLS handshakes")]
    Stopped,
}

impl Handshaker {
    /// Starts the threads. A handshake may take `timeout`, and its end is added to `counts`.
    pub fn start(
        threads: usize,
        config: Arc<ServerConfig>,
        timeout: Duration,
        counts: Arc<HandshakeCounts>,
    ) -> Self {
        let threads = (0..threads.max(1)).map(|_| HandshakeThread {
            arbiter: Arbiter::new().handle(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
        });
        Self { threads: threads.collect(), next: Arc::default(), config, timeout, counts }
    }

    /// The same threads for another port, whose clients are offered `config`.
    pub fn offering(&self, config: Arc<ServerConfig>) -> Self {
        Self { config, ..self.clone() }
    }

    /// Makes the handshake of `socket`. The connection belongs to the thread that asks.
    pub async fn accept(&self, socket: TcpStream) -> Result<TlsWire, HandshakeError> {
        let began = Instant::now();
        let mut accepted = self.accept_elsewhere(socket).await;
        if let Ok(wire) = &mut accepted {
            wire.settle()?;
        }
        let count = match &accepted {
            Ok(_) => {
                self.counts.seconds.observe(began.elapsed());
                &self.counts.completed
            }
            Err(HandshakeError::TimedOut(_)) => &self.counts.timed_out,
            Err(HandshakeError::Failed(_) | HandshakeError::Stopped) => &self.counts.failed,
        };
        count.inc();
        accepted
    }

    async fn accept_elsewhere(&self, socket: TcpStream) -> Result<TlsWire, HandshakeError> {
        let timed_out = || HandshakeError::TimedOut(self.timeout);
        let deadline = Instant::now() + self.timeout;
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        let thread = self.threads.get(next).ok_or(HandshakeError::Stopped)?;
        let place = timeout_at(deadline, thread.under_way.clone().acquire_owned()).await;
        let place = place.map_err(|_| timed_out())?.map_err(|_| HandshakeError::Stopped)?;
        let (socket, config) = (socket.into_std()?, self.config.clone());
        let (done, result) = oneshot::channel();
        thread.arbiter.spawn(async move {
            let accepting = async { TlsWire::accept(TcpStream::from_std(socket)?, config).await };
            // A caller that no longer waits is not noticed: that costs the timeout at most.
            let _ = done.send(timeout_at(deadline, accepting).await);
            drop(place);
        });
        let accepted = result.await.map_err(|_| HandshakeError::Stopped)?;
        Ok(accepted.map_err(|_| timed_out())??)
    }
}
