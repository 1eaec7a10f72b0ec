//! Answers of the store that are known for a moment, and questions that are asked once for all who have them.

use std::{collections::HashMap, hash::Hash, time::Duration};

use futures::{
    FutureExt,
    future::{LocalBoxFuture, Shared},
};
use tokio::time::Instant;

use crate::{bounded_cache::BoundedCache, cluster::store::StoreError};

/// Time for which an answer is repeated.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Answers that are remembered: anyone can ask for anything.
const KNOWN_MAX: usize = 10_000;

/// An answer to come, for all who wait for it.
pub(super) type Pending<V> = Shared<LocalBoxFuture<'static, Result<V, StoreError>>>;

/// The identity of a question: there may be several about the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LookupId(u64);

/// Lookups by `K`, finished and under way. Errors are not remembered.
pub(super) struct Lookups<K, V: Clone> {
    known: BoundedCache<K, (Instant, V)>,
    pending: HashMap<K, (LookupId, Pending<V>)>,
    last_id: u64,
}

impl<K: Eq + Hash, V: Clone> Default for Lookups<K, V> {
    fn default() -> Self {
        Self { known: BoundedCache::new(KNOWN_MAX), pending: HashMap::new(), last_id: 0 }
    }
}

impl<K: Clone + Eq + Hash, V: Clone + 'static> Lookups<K, V> {
    /// Returns the remembered answer about `key`.
    pub fn known(&self, key: &K, now: Instant) -> Option<V> {
        let (since, value) = self.known.get(key)?;
        is_known(*since, now).then(|| value.clone())
    }

    /// Returns the lookup of `key` that is under way.
    pub fn pending(&self, key: &K) -> Option<Pending<V>> {
        self.pending.get(key).map(|(_, pending)| pending.clone())
    }

    /// Takes note of a question.
    pub fn ask(
        &mut self,
        key: K,
        answer: LocalBoxFuture<'static, Result<V, StoreError>>,
    ) -> (LookupId, Pending<V>) {
        self.last_id += 1;
        let (id, pending) = (LookupId(self.last_id), answer.shared());
        self.pending.insert(key, (id, pending.clone()));
        (id, pending)
    }

    /// The answer came. It counts unless a newer question was asked, or what it says was changed by this node.
    pub fn answered(&mut self, key: K, id: LookupId, answer: &Result<V, StoreError>, now: Instant) {
        if self.pending.get(&key).is_none_or(|(current, _)| *current != id) {
            return;
        }
        self.pending.remove(&key);
        if let Ok(value) = answer {
            self.known.make_room(|(since, _)| is_known(*since, now));
            self.known.insert(key, (now, value.clone()));
        }
    }

    /// Drops the answer about `key`, and the lookup that is under way.
    pub fn forget(&mut self, key: &K) {
        self.known.remove(key);
        self.pending.remove(key);
    }
}

fn is_known(since: Instant, now: Instant) -> bool {
    now.duration_since(since) < KNOWN_FOR
}

#[cfg(test)]
mod tests {
    use futures::future::pending;

    use super::*;

    fn lookups() -> (Lookups<u32, u32>, LookupId) {
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
