//! How much memory the segments of all rooms take.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::stored_segment::StoredSegment;

/// When no files can be written, memory takes their place up to this many times the usual limit.
const UNWRITTEN_FACTOR: usize = 16;

/// In bytes, over all rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryLimits {
    /// For segments that are in files as well: the oldest leave.
    pub written_max_bytes: usize,
    /// For all segments. Over it the oldest are lost, before their time.
    pub total_max_bytes: usize,
}

/// Segments in memory, oldest first.
#[derive(Debug)]
pub(super) struct SegmentMemory {
    limits: MemoryLimits,
    segments: Mutex<VecDeque<Arc<StoredSegment>>>,
}

impl MemoryLimits {
    pub fn new(written_max_bytes: usize) -> Self {
        Self { written_max_bytes, total_max_bytes: written_max_bytes.saturating_mul(UNWRITTEN_FACTOR) }
    }
}

impl SegmentMemory {
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, segments: Mutex::default() }
    }

    /// Takes the newest segment in, and lets old ones go if there are too many.
    pub fn add(&self, segment: Arc<StoredSegment>) {
        self.segments().push_back(segment);
        self.trim();
    }

    /// Lets old segments go if there are too many: at once when they are in files, and not when the next one comes, as
    /// streams whose GOPs are in phase end all their segments at the same time.
    pub fn trim(&self) {
        let mut segments = self.segments();
        let mut total_bytes = 0;
        segments.retain(|segment| {
            let size_bytes = segment.memory_bytes();
            total_bytes += size_bytes;
            size_bytes > 0
        });
        for segment in segments.iter() {
            if total_bytes <= self.limits.written_max_bytes {
                return;
            }
            total_bytes -= segment.leave_to_file();
        }
        for segment in segments.iter() {
            if total_bytes <= self.limits.total_max_bytes {
                return;
            }
            total_bytes -= segment.give_up();
        }
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Arc<StoredSegment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::{super::stored_segment::SegmentPlace, *};
    use crate::testing::segment_name;

    fn segment(sequence: u64) -> Arc<StoredSegment> {
        Arc::new(StoredSegment::new(segment_name(sequence), Bytes::from_static(&[0; 100])))
    }

    fn places(segments: &[Arc<StoredSegment>]) -> String {
        let letter = |segment: &Arc<StoredSegment>| match segment.place() {
            Some(SegmentPlace::Memory(_)) => 'm',
            Some(SegmentPlace::File(_)) => 'f',
            None => '-',
        };
        segments.iter().map(letter).collect()
    }

    fn filled(written: impl Fn(u64) -> bool) -> String {
        let memory = SegmentMemory::new(MemoryLimits { written_max_bytes: 250, total_max_bytes: 500 });
        let segments: Vec<_> = (0..8).map(segment).collect();
        for segment in &segments {
            memory.add(segment.clone());
            if written(segment.name().sequence) {
                segment.note_written(Path::new("x").into());
            }
        }
        places(&segments)
    }

    #[test]
    fn the_oldest_leave_to_their_files() {
        assert_eq!(filled(|_| true), "ffffffmm");
    }

    #[test]
    fn what_is_in_no_file_stays_up_to_the_second_limit() {
        assert_eq!(filled(|_| false), "---mmmmm");
        assert_eq!(filled(|sequence| sequence % 2 == 0), "fmfmfmfm");
    }

    #[test]
    fn what_waited_for_its_file_leaves_when_it_is_written() {
        let memory = SegmentMemory::new(MemoryLimits::new(150));
        let segments: Vec<_> = (0..4).map(segment).collect();
        segments.iter().for_each(|segment| memory.add(segment.clone()));
        assert_eq!(places(&segments), "mmmm");
        for segment in &segments {
            segment.note_written(Path::new("x").into());
            memory.trim();
        }
        assert_eq!(places(&segments), "fffm");
    }

    #[test]
    fn what_expired_takes_no_room() {
        let memory = SegmentMemory::new(MemoryLimits::new(100));
        let (first, second) = (segment(0), segment(1));
        memory.add(first.clone());
        assert_eq!(first.discard(), None);
        memory.add(second.clone());
        assert_eq!(places(&[first, second]), "-m");
    }
}
