//! The memory of segments that are no longer needed, for those to come: fresh memory costs a page fault every 4 KiB.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// Capacities are multiples of this, so that the segments of streams that are alike fit each other's buffers.
const STEP_BYTES: usize = 16 * 1024;

/// A buffer is used for no less than this part of its capacity, unless it is the smallest there is.
const WASTE_FACTOR: usize = 2;

/// Free buffers, shared by all streams of the pool.
#[derive(Debug, Clone)]
pub struct BufferPool(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    /// Oldest first.
    buffers: VecDeque<Vec<u8>>,
    size_bytes: usize,
    size_max_bytes: usize,
}

/// The owner of the shared bytes: the buffer returns to its pool when the last clone is dropped.
struct Lent {
    buffer: Vec<u8>,
    pool: BufferPool,
}

impl BufferPool {
    /// A pool that keeps at most `size_max_bytes`.
    pub fn new(size_max_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Free { buffers: VecDeque::new(), size_bytes: 0, size_max_bytes })))
    }

    /// An empty buffer for about `size_bytes`, from those that came back if one fits.
    pub fn take(&self, size_bytes: usize) -> Vec<u8> {
        let capacity_max_bytes = size_bytes.saturating_mul(WASTE_FACTOR).max(STEP_BYTES);
        let found = self.free().take(size_bytes, capacity_max_bytes);
        found.unwrap_or_else(|| Vec::with_capacity(size_bytes.next_multiple_of(STEP_BYTES)))
    }

    /// Shares a buffer's bytes. The buffer comes back when the last holder drops them.
    pub fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, pool: self.clone() })
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    /// The newest whose capacity is within the bounds: its pages are the likeliest to be in a cache.
    fn take(&mut self, capacity_min_bytes: usize, capacity_max_bytes: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (capacity_min_bytes..=capacity_max_bytes).contains(&buffer.capacity());
        let at = self.buffers.iter().rposition(fits)?;
        let buffer = self.buffers.remove(at)?;
        self.size_bytes -= buffer.capacity();
        Some(buffer)
    }

    /// The oldest are dropped if there are too many, so that sizes that are no longer used do not stay.
    fn put(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > self.size_max_bytes {
            return;
        }
        buffer.clear();
        self.size_bytes += buffer.capacity();
        self.buffers.push_back(buffer);
        while self.size_bytes > self.size_max_bytes
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.size_bytes -= oldest.capacity();
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.free().put(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn used(pool: &BufferPool, size_bytes: usize) -> Bytes {
        let mut buffer = pool.take(size_bytes);
        buffer.resize(size_bytes, 7);
        pool.lend(buffer)
    }

    #[test]
    fn a_buffer_comes_back_when_the_last_lets_go() {
        let pool = BufferPool::new(4 * MIB);
        let first = used(&pool, 100_000);
        let (place, viewer) = (first.as_ptr(), first.slice(50..60));
        drop(first);
        assert!(pool.free().buffers.is_empty());
        assert_eq!(viewer[..], [7; 10]);
        drop(viewer);
        assert_eq!(pool.free().buffers.len(), 1);
        let again = pool.take(90_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(pool.free().buffers.is_empty());
    }

    #[test]
    fn a_small_segment_takes_no_large_buffer() {
        let pool = BufferPool::new(4 * MIB);
        drop(used(&pool, MIB));
        assert!(pool.take(300_000).capacity() < MIB);
        assert_eq!(pool.take(MIB / 2).capacity(), MIB);
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_the_newest_stay() {
        let pool = BufferPool::new(4 * MIB);
        let lent: Vec<_> = (0..6).map(|_| used(&pool, MIB)).collect();
        let places: Vec<_> = lent.iter().map(|bytes| bytes.as_ptr()).collect();
        lent.into_iter().for_each(drop);
        let kept = |pool: &BufferPool| {
            let free = pool.free();
            assert_eq!(free.size_bytes, 4 * MIB);
            free.buffers.iter().map(|buffer| buffer.as_ptr()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&pool), places[2..]);
        drop(used(&pool, 4 * MIB + 1));
        assert_eq!(kept(&pool), places[2..]);
    }
}
