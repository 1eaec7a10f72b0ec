//! Requests that are made once for all callers that want the same answer.

use std::{collections::HashMap, hash::Hash};

use futures::{
    FutureExt,
    future::{LocalBoxFuture, Shared},
};

/// An answer to come, for all callers that wait for it.
pub(crate) type Flight<V> = Shared<LocalBoxFuture<'static, V>>;

/// The identity of a request: a newer one about the same key may have taken its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlightId(u64);

/// The requests that are under way, by the key that they are about. The owner limits their number: it knows how many
/// callers it lets wait.
pub(crate) struct SingleFlight<K, V: Clone> {
    under_way: HashMap<K, (FlightId, Flight<V>)>,
    last_id: u64,
}

impl<K, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { under_way: HashMap::new(), last_id: 0 }
    }
}

impl<K: Eq + Hash, V: Clone> SingleFlight<K, V> {
    /// Returns the request about `key` that is under way.
    pub fn join(&self, key: &K) -> Option<Flight<V>> {
        self.under_way.get(key).map(|(_, flight)| flight.clone())
    }

    /// Starts a request about `key`. It takes the place of an older one, whose callers still get their answer.
    pub fn start(&mut self, key: K, request: LocalBoxFuture<'static, V>) -> (FlightId, Flight<V>) {
        self.last_id += 1;
        let (id, flight) = (FlightId(self.last_id), request.shared());
        self.under_way.insert(key, (id, flight.clone()));
        (id, flight)
    }

    /// Ends a request. Returns false if it was forgotten, or if a newer one has taken its place: its answer may be
    /// outdated then.
    pub fn finish(&mut self, key: &K, id: FlightId) -> bool {
        let is_current = self.under_way.get(key).is_some_and(|(current, _)| *current == id);
        if is_current {
            self.under_way.remove(key);
        }
        is_current
    }

    /// Lets the next caller start a new request. Callers that wait for the present one still get its answer.
    pub fn forget(&mut self, key: &K) {
        self.under_way.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{pending, ready};

    use super::*;

    #[test]
    fn callers_share_the_request_that_is_under_way() {
        let mut flights = SingleFlight::default();
        let (id, first) = flights.start("a", ready(7).boxed_local());
        let second = flights.join(&"a").unwrap();
        assert!(flights.join(&"b").is_none());
        assert_eq!((first.now_or_never(), second.now_or_never()), (Some(7), Some(7)));
        assert!(flights.finish(&"a", id));
        assert!(flights.join(&"a").is_none());
    }

    #[test]
    fn a_request_that_was_replaced_or_forgotten_is_not_current() {
        let mut flights = SingleFlight::<_, u32>::default();
        let (older, _) = flights.start("a", pending().boxed_local());
        let (newer, _) = flights.start("a", pending().boxed_local());
        assert!(!flights.finish(&"a", older));
        assert!(flights.join(&"a").is_some(), "the newer request is still under way");
        flights.forget(&"a");
        assert!(flights.join(&"a").is_none());
        assert!(!flights.finish(&"a", newer));
    }
}
