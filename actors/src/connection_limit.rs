//! Limits on what peers can make the server hold.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// So many may be held at once, over all threads.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    held: Arc<AtomicUsize>,
    port: Arc<PortCounts>,
    max: usize,
}

/// One of them; dropping it gives it back.
#[derive(Debug)]
pub struct ConnectionPermit {
    held: Arc<AtomicUsize>,
    port: Arc<PortCounts>,
}

/// The connections of one port.
#[derive(Debug, Default)]
struct PortCounts {
    held: AtomicUsize,
    refused: AtomicU64,
    refused_plain: AtomicU64,
}

impl ConnectionLimit {
    /// `max` permits.
    pub fn new(max: usize) -> Self {
        Self { held: Arc::default(), port: Arc::default(), max }
    }

    /// Takes one, if one is left.
    pub fn take(&self) -> Option<ConnectionPermit> {
        let taken = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < self.max).then_some(held + 1));
        taken.ok()?;
        self.port.held.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionPermit { held: self.held.clone(), port: self.port.clone() })
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
        self.port.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The connections that the port refused.
    pub fn refused_by_port(&self) -> u64 {
        self.port.refused.load(Ordering::Relaxed)
    }

    /// Counts a connection without TLS that the port refused because only TLS is spoken there.
    pub fn note_refused_plain(&self) {
        self.port.refused_plain.fetch_add(1, Ordering::Relaxed);
    }

    /// The connections that the port refused for that.
    pub fn refused_plain_by_port(&self) -> u64 {
        self.port.refused_plain.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The permits that are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::AcqRel);
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
