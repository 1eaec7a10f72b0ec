//! Answers of the store that are known for a moment, and questions that are asked once for all who have them.

use std::{hash::Hash, time::Duration};

use futures::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::{
    bounded_cache::BoundedCache,
    cluster::store::StoreError,
    single_flight::{Flight, FlightId, SingleFlight},
};

/// Time for which an answer is repeated.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Answers that are remembered: anyone can ask for anything.
const KNOWN_MAX: usize = 10_000;

/// Lookups by `K`, finished and under way. Errors are not remembered.
pub(super) struct Lookups<K, V: Clone> {
    known: BoundedCache<K, (Instant, V)>,
    pending: SingleFlight<K, Result<V, StoreError>>,
}

impl<K: Eq + Hash, V: Clone> Default for Lookups<K, V> {
    fn default() -> Self {
        Self { known: BoundedCache::new(KNOWN_MAX), pending: SingleFlight::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone + 'static> Lookups<K, V> {
    /// Returns the remembered answer about `key`.
    pub fn known(&self, key: &K, now: Instant) -> Option<V> {
        let (since, value) = self.known.get(key)?;
        is_known(*since, now).then(|| value.clone())
    }

    /// Returns the lookup of `key` that is under way.
    pub fn pending(&self, key: &K) -> Option<Flight<Result<V, StoreError>>> {
        self.pending.join(key)
    }

    /// Starts a lookup of `key`.
    pub fn ask(
        &mut self,
        key: K,
        answer: LocalBoxFuture<'static, Result<V, StoreError>>,
    ) -> (FlightId, Flight<Result<V, StoreError>>) {
        self.pending.start(key, answer)
    }

    /// Remembers an answer, unless a newer lookup was started, or this node has changed the row meanwhile.
    pub fn answered(&mut self, key: K, id: FlightId, answer: &Result<V, StoreError>, now: Instant) {
        if !self.pending.finish(&key, id) {
            return;
        }
        if let Ok(value) = answer {
            self.known.make_room(|(since, _)| is_known(*since, now));
            self.known.insert(key, (now, value.clone()));
        }
    }

    /// Drops the answer about `key`, and the lookup that is under way.
    pub fn forget(&mut self, key: &K) {
        self.known.remove(key);
        self.pending.forget(key);
    }
}

fn is_known(since: Instant, now: Instant) -> bool {
    now.duration_since(since) < KNOWN_FOR
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::pending};

    use super::*;

    fn lookups() -> (Lookups<u32, u32>, FlightId) {
        let mut lookups = Lookups::default();
        let (id, _) = lookups.ask(1, pending().boxed_local());
        (lookups, id)
    }

    #[test]
    fn an_answer_is_known_for_a_moment() {
        let (mut lookups, id) = lookups();
        assert!(lookups.pending(&1).is_some() && lookups.pending(&2).is_none());
        let now = Instant::now();
        lookups.answered(1, id, &Ok(7), now);
        assert!(lookups.pending(&1).is_none());
        assert_eq!(lookups.known(&1, now + KNOWN_FOR / 2), Some(7));
        assert_eq!(lookups.known(&1, now + KNOWN_FOR), None);
    }

    #[test]
    fn an_error_is_not_remembered() {
        let (mut lookups, id) = lookups();
        let now = Instant::now();
        lookups.answered(1, id, &Err(StoreError("x".to_owned())), now);
        assert_eq!(lookups.known(&1, now), None);
        assert!(lookups.pending(&1).is_none());
    }

    #[test]
    fn an_answer_from_before_a_change_is_not_believed() {
        let (mut lookups, id) = lookups();
        let now = Instant::now();
        lookups.forget(&1);
        lookups.answered(1, id, &Ok(7), now);
        assert_eq!(lookups.known(&1, now), None);
        let (newer, _) = lookups.ask(1, pending().boxed_local());
        lookups.answered(1, id, &Ok(7), now);
        assert!(lookups.pending(&1).is_some(), "the newer question still waits");
        lookups.answered(1, newer, &Ok(8), now);
        assert_eq!(lookups.known(&1, now), Some(8));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lookups = Lookups::default();
        let now = Instant::now();
        for key in 0..3 * KNOWN_MAX {
            let (id, _) = lookups.ask(key, pending().boxed_local());
            lookups.answered(key, id, &Ok(key), now);
            assert!(lookups.known.len() <= KNOWN_MAX);
        }
    }
}
