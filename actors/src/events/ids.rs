//! Names of streams, of their sources and of their subscribers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names a subscriber of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

impl SubscriberId {
    /// An id that no other subscriber of this process has.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names a viewer among those that one subscriber serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewerId(pub u64);

/// The identity of a stream: successive streams of one room have different ones, in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// Returns an id that no other stream of this process has, and that is above those before it.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The number of a stream's publisher: it identifies late messages of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublisherId(pub(crate) u64);

/// The identity of a puller in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PullerId(u64);

impl PullerId {
    /// Returns an id that no other puller of this process has.
    pub(crate) fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
