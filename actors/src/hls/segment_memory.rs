//! The memory budget of the segments of all rooms.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::stored_segment::StoredSegment;

/// Multiple of the usual limit up to which memory takes the place of files that cannot be written.
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
    /// Bytes of this node's segments.
    own_bytes: AtomicUsize,
    /// Bytes of other nodes' segments, which are kept elsewhere.
    fetched_bytes: AtomicUsize,
}

/// The share of the memory that segments of other nodes may have: what those of this node leave, and half of it in any
/// case.
#[derive(Debug, Clone)]
pub struct FetchedMemory(Arc<SegmentMemory>);

impl FetchedMemory {
    pub(super) fn of(memory: Arc<SegmentMemory>) -> Self {
        Self(memory)
    }

    /// Returns a memory of its own, which no segments of this node share.
    pub fn alone(max_bytes: usize) -> Self {
        Self(Arc::new(SegmentMemory::new(MemoryLimits::new(max_bytes))))
    }

    /// The current size.
    pub(crate) fn limit_bytes(&self) -> usize {
        let max_bytes = self.0.limits.written_max_bytes;
        max_bytes - self.0.own_bytes.load(Ordering::Relaxed).min(max_bytes / 2)
    }

    /// Takes note of what is used. Segments of this node make room.
    pub(crate) fn set_used(&self, used_bytes: usize) {
        if self.0.fetched_bytes.swap(used_bytes, Ordering::Relaxed) < used_bytes {
            self.0.trim();
        }
    }
}

impl MemoryLimits {
    pub fn new(written_max_bytes: usize) -> Self {
        Self { written_max_bytes, total_max_bytes: written_max_bytes.saturating_mul(UNWRITTEN_FACTOR) }
    }
}

impl SegmentMemory {
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            segments: Mutex::default(),
            own_bytes: AtomicUsize::new(0),
            fetched_bytes: AtomicUsize::new(0),
        }
    }

    /// Takes the newest segment in, and lets old ones go if there are too many.
    pub fn add(&self, segment: Arc<StoredSegment>) {
        self.segments().push_back(segment);
        self.trim();
    }

    /// Forgets all segments: others stand for them after an upgrade that was given up.
    pub fn forget(&self) {
        self.segments().clear();
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
        let written_max_bytes = self.written_max_bytes();
        for segment in segments.iter() {
            if total_bytes <= written_max_bytes {
                break;
            }
            total_bytes -= segment.leave_to_file();
        }
        for segment in segments.iter() {
            if total_bytes <= self.limits.total_max_bytes {
                break;
            }
            total_bytes -= segment.give_up();
        }
        self.own_bytes.store(total_bytes, Ordering::Relaxed);
    }

    /// Returns what this node's segments and those of other nodes take, as of when either changed last.
    pub fn used_bytes(&self) -> usize {
        self.own_bytes.load(Ordering::Relaxed) + self.fetched_bytes.load(Ordering::Relaxed)
    }

    /// The budget that segments of other nodes leave, and half of it in any case.
    fn written_max_bytes(&self) -> usize {
        let max_bytes = self.limits.written_max_bytes;
        max_bytes - self.fetched_bytes.load(Ordering::Relaxed).min(max_bytes / 2)
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
    fn segments_of_other_nodes_share_the_memory_and_neither_takes_all_of_it() {
        let memory = Arc::new(SegmentMemory::new(MemoryLimits::new(400)));
        let fetched = FetchedMemory::of(memory.clone());
        assert_eq!(fetched.limit_bytes(), 400);
        let segments: Vec<_> = (0..4).map(segment).collect();
        for segment in &segments {
            memory.add(segment.clone());
            segment.note_written(Path::new("x").into());
        }
        assert_eq!((places(&segments).as_str(), fetched.limit_bytes()), ("mmmm", 200));
        fetched.set_used(100);
        assert_eq!((places(&segments).as_str(), fetched.limit_bytes()), ("fmmm", 200));
        fetched.set_used(200);
        assert_eq!((places(&segments).as_str(), fetched.limit_bytes()), ("ffmm", 200));
        fetched.set_used(400);
        assert_eq!(places(&segments), "ffmm", "half of it stays");
        segments.iter().for_each(|segment| drop(segment.discard()));
        memory.trim();
        assert_eq!(fetched.limit_bytes(), 400);
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
