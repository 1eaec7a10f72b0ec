//! A map that clients cannot make grow without end.

use std::{collections::HashMap, hash::Hash};

/// Answers to what clients ask for, up to a number of them: anyone can ask for anything.
#[derive(Debug)]
pub(crate) struct BoundedCache<K, V> {
    entries: HashMap<K, V>,
    max: usize,
}

impl<K: Eq + Hash, V> BoundedCache<K, V> {
    /// Makes an empty cache of at most `max` entries.
    pub fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), max }
    }

    /// Returns the entry of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Drops all entries that are of no use, if the cache is full. While it is not, an insertion costs no walk.
    pub fn make_room(&mut self, is_of_use: impl Fn(&V) -> bool) {
        if self.entries.len() >= self.max {
            self.entries.retain(|_, value| is_of_use(value));
        }
    }

    /// Inserts an entry. A full cache takes no new key: a flood of them must not displace what is asked for repeatedly.
    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.len() < self.max || self.entries.contains_key(&key) {
            self.entries.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> BoundedCache<u32, u32> {
        let mut cache = BoundedCache::new(3);
        for key in 0..3 {
            cache.insert(key, key);
        }
        cache
    }

    #[test]
    fn a_full_cache_takes_no_new_key_and_renews_old_ones() {
        let mut cache = full();
        cache.insert(3, 3);
        cache.insert(1, 10);
        assert_eq!((cache.get(&3), cache.get(&1), cache.get(&0)), (None, Some(&10), Some(&0)));
    }

    #[test]
    fn only_a_full_cache_drops_what_is_of_no_use() {
        let mut cache = full();
        cache.make_room(|value| *value > 0);
        assert_eq!((cache.get(&0), cache.get(&1)), (None, Some(&1)));
        cache.make_room(|_| false);
        assert_eq!(cache.get(&1), Some(&1));
        cache.insert(3, 3);
        assert_eq!(cache.get(&3), Some(&3));
    }
}
