//! Limits on what peers can make the server hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// So many may be held at once, over all threads.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    held: Arc<AtomicUsize>,
    max: usize,
}

/// One of them; dropping it gives it back.
#[derive(Debug)]
pub struct ConnectionPermit {
    held: Arc<AtomicUsize>,
}

impl ConnectionLimit {
    /// `max` permits.
    pub fn new(max: usize) -> Self {
        Self { held: Arc::default(), max }
    }

    /// Takes one, if one is left.
    pub fn take(&self) -> Option<ConnectionPermit> {
        let taken = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < self.max).then_some(held + 1));
        taken.ok().map(|_| ConnectionPermit { held: self.held.clone() })
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
}
