//! Limits on what peers can make the server hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Counter;

/// A limit on connections that are held at once, over all threads.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    free: Arc<Semaphore>,
    port: Arc<PortCounts>,
    max: usize,
}

/// The right to hold one connection. It ends when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    port: Arc<PortCounts>,
    _permit: OwnedSemaphorePermit,
}

/// The connections of one port.
#[derive(Debug, Default)]
struct PortCounts {
    held: AtomicUsize,
    refused: Counter,
    refused_plain: Counter,
}

impl ConnectionLimit {
    /// Makes a limit of `max` connections, or of the most that can be counted, [`Semaphore::MAX_PERMITS`].
    pub fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(max)), port: Arc::default(), max }
    }

    /// Takes a permit, if one is left.
    pub fn take(&self) -> Option<ConnectionPermit> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        self.port.held.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionPermit { port: self.port.clone(), _permit: permit })
    }

    /// The same limit for a port that counts its own. Its clones count for the same port.
    pub fn for_port(&self) -> Self {
        Self { port: Arc::default(), ..self.clone() }
    }

    /// The connections that the port holds.
    pub fn held_by_port(&self) -> usize {
        self.port.held.load(Ordering::Relaxed)
    }

    /// Counts a connection that the port refused because the limit is reached.
    pub fn note_refused(&self) {
        self.port.refused.inc();
    }

    /// The connections that the port refused.
    pub fn refused_by_port(&self) -> &Counter {
        &self.port.refused
    }

    /// Counts a connection without TLS that the port refused because only TLS is spoken there.
    pub fn note_refused_plain(&self) {
        self.port.refused_plain.inc();
    }

    /// The connections that the port refused for that.
    pub fn refused_plain_by_port(&self) -> &Counter {
        &self.port.refused_plain
    }

    /// The limit.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The permits that are held.
    pub fn held(&self) -> usize {
        self.max - self.free.available_permits()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.port.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_held_and_a_dropped_one_can_be_taken_again() {
        let permits = ConnectionLimit::new(2);
        let first = permits.take();
        let second = permits.take();
        assert!(first.is_some() && second.is_some());
        assert!(permits.take().is_none());
        drop(first);
        assert_eq!(permits.held(), 1);
        assert!(permits.take().is_some());
    }

    #[test]
    fn ports_share_the_limit_and_count_their_own() {
        let node = ConnectionLimit::new(2);
        let (rtmp, web) = (node.for_port(), node.for_port());
        let held = (rtmp.take(), web.take());
        assert!(held.0.is_some() && held.1.is_some() && web.take().is_none());
        assert_eq!((node.held(), rtmp.held_by_port(), web.clone().held_by_port()), (2, 1, 1));
        drop(held);
        assert_eq!((node.held(), rtmp.held_by_port(), web.held_by_port()), (0, 0, 0));
    }
}
