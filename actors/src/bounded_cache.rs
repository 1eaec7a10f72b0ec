//! A map that clients cannot make grow without end.

use std::{collections::HashMap, hash::Hash};

/// The share of a full cache's size, as a divisor, that has to be inserted before it is searched for useless entries again.
/// Otherwise, a cache full of useful entries would be searched for each new key.
const WALK_EVERY: usize = 16;

/// Answers to clients' questions, up to a number of them: clients choose the questions.
#[derive(Debug)]
pub(crate) struct BoundedCache<K, V> {
    entries: HashMap<K, V>,
    max: usize,
    /// Insertions until the next walk.
    walk_in: usize,
}

impl<K: Eq + Hash, V> BoundedCache<K, V> {
    /// Makes an empty cache of at most `max` entries.
    pub fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), max, walk_in: 0 }
    }

    /// Returns the entry of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Drops the entry of a key.
    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Drops all entries that are of no use.
    pub fn retain(&mut self, is_of_use: impl Fn(&V) -> bool) {
        self.entries.retain(|_, value| is_of_use(value));
    }

    /// Drops all entries that are of no use, if the cache is full. While it is not, an insertion costs no walk, and while what
    /// is in it is of use, few do.
    pub fn make_room(&mut self, is_of_use: impl Fn(&V) -> bool) {
        self.make_room_by(&[&is_of_use]);
    }

    /// The same, by one measure after the other until there is room.
    pub fn make_room_by(&mut self, measures: &[&dyn Fn(&V) -> bool]) {
        if self.entries.len() < self.max {
            return;
        }
        match self.walk_in.checked_sub(1) {
            Some(fewer) => self.walk_in = fewer,
            None => {
                for is_of_use in measures {
                    if self.entries.len() >= self.max {
                        self.entries.retain(|_, value| is_of_use(value));
                    }
                }
                let freed = self.max.saturating_sub(self.entries.len());
                self.walk_in = (self.max / WALK_EVERY).saturating_sub(freed);
            }
        }
    }

    /// Inserts an entry. A full cache takes no new key: a flood of them must not displace what is asked for repeatedly.
    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.len() < self.max || self.entries.contains_key(&key) {
            self.entries.insert(key, value);
        }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
    fn a_cache_full_of_what_is_of_use_is_seldom_walked() {
        let (mut cache, looked) = (BoundedCache::new(32), Cell::new(0));
        for key in 0..64 {
            cache.make_room(|_| {
                looked.set(looked.get() + 1);
                true
            });
            cache.insert(key, key);
        }
        // Of 32 insertions into the full cache, every third walks.
        assert_eq!(looked.get(), 11 * 32);
        (0..3).for_each(|_| cache.make_room(|_| false));
        assert_eq!(cache.get(&0), None);
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
        cache.remove(&3);
        assert_eq!(cache.get(&3), None);
    }
}
