//! Segments of other nodes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};

use crate::hls::{FetchedMemory, StoredSegment};

type Key = (RoomName, SegmentName);

/// Segments in memory, as much of it as there is; the ones that were fetched first leave first. Viewers of a live stream ask
/// for the same segment at about the same time, so that the newest are the ones of use.
#[derive(Debug)]
pub(super) struct SegmentCache {
    memory: FetchedMemory,
    size_bytes: usize,
    segments: HashMap<Key, Arc<StoredSegment>>,
    order: VecDeque<Key>,
}

impl SegmentCache {
    pub fn new(memory: FetchedMemory) -> Self {
        Self { memory, size_bytes: 0, segments: HashMap::new(), order: VecDeque::new() }
    }

    pub fn get(&self, room: &RoomName, name: SegmentName) -> Option<Arc<StoredSegment>> {
        self.segments.get(&(room.clone(), name)).cloned()
    }

    /// Takes a segment in, unless it is larger than all that may be kept.
    pub fn add(&mut self, room: RoomName, segment: Arc<StoredSegment>) {
        let (key, added_bytes) = ((room, segment.name()), segment.size_bytes());
        let max_bytes = self.memory.limit_bytes();
        if added_bytes > max_bytes || self.segments.contains_key(&key) {
            return;
        }
        while self.size_bytes > max_bytes - added_bytes && self.remove_oldest() {}
        self.size_bytes += added_bytes;
        self.order.push_back(key.clone());
        self.segments.insert(key, segment);
        self.memory.set_used(self.size_bytes);
    }

    /// Gives memory back that segments of this node want.
    pub fn trim(&mut self) {
        let max_bytes = self.memory.limit_bytes();
        while self.size_bytes > max_bytes && self.remove_oldest() {}
        self.memory.set_used(self.size_bytes);
    }

    fn remove_oldest(&mut self) -> bool {
        let oldest = self.order.pop_front().and_then(|key| self.segments.remove(&key));
        self.size_bytes -= oldest.as_ref().map_or(0, |segment| segment.size_bytes());
        oldest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{room, segment_name as name};

    fn segment(sequence: u64, size_bytes: usize) -> Arc<StoredSegment> {
        Arc::new(StoredSegment::new(name(sequence), vec![0; size_bytes].into()))
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many_bytes() {
        let mut cache = SegmentCache::new(FetchedMemory::alone(250));
        let kept = |cache: &SegmentCache| -> Vec<u64> {
            (0..10).filter(|sequence| cache.get(&room("r"), name(*sequence)).is_some()).collect()
        };
        for sequence in 0..5 {
            cache.add(room("r"), segment(sequence, 100));
            cache.add(room("r"), segment(sequence, 100));
        }
        assert_eq!((kept(&cache), cache.size_bytes), (vec![3, 4], 200));
        cache.add(room("r"), segment(5, 250));
        assert_eq!((kept(&cache), cache.size_bytes), (vec![5], 250));
        cache.add(room("r"), segment(6, 251));
        assert_eq!(kept(&cache), [5]);
        assert_eq!((cache.segments.len(), cache.order.len()), (1, 1));
        assert!(cache.get(&room("other"), name(5)).is_none());
    }
}
