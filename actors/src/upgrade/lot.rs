//! The descriptors and the media of what is parked. The rest of a state is plain data that refers to them.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use synctv_media::upgrade::{Blobs, StateError};
use tokio::time::{Instant, timeout_at};

/// Bytes of cached media that go along. To write and read them takes the longest part of an upgrade: 64 MB took 87 ms.
const CACHE_MAX_BYTES: usize = 32 * 1024 * 1024;

/// A descriptor's place among those that are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorId(u32);

/// Takes descriptors and media of the parts that park, on all threads, up to a deadline. Clones share them.
#[derive(Debug, Clone)]
pub struct ParkingLot {
    lot: Arc<Mutex<Lot>>,
    deadline: Instant,
}

#[derive(Debug, Default)]
struct Lot {
    blobs: Blobs,
    descriptors: Vec<OwnedFd>,
    is_closed: bool,
    /// Parts that have not parked by the deadline.
    missing: usize,
}

/// The contents of a parking lot, for the parts that restore themselves. Clones share them. Dropping the last clone closes
/// the descriptors that no part has taken.
#[derive(Debug, Clone)]
pub struct Parked(Arc<Contents>);

#[derive(Debug)]
struct Contents {
    blobs: Blobs,
    descriptors: Mutex<Vec<Option<OwnedFd>>>,
}

impl ParkingLot {
    /// An empty lot.
    pub fn new(deadline: Instant) -> Self {
        let lot = Lot { blobs: Blobs::with_cache_limit(CACHE_MAX_BYTES), ..Lot::default() };
        Self { lot: Arc::new(Mutex::new(lot)), deadline }
    }

    /// Waits for a part to park, but not beyond the deadline.
    pub(crate) async fn wait<T>(&self, parked: impl Future<Output = T>) -> Option<T> {
        let parked = timeout_at(self.deadline, parked).await.ok();
        if parked.is_none() {
            self.note_missing();
        }
        parked
    }

    /// The end of the time to park.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Counts a part that has not parked in time.
    pub(crate) fn note_missing(&self) {
        self.lock().missing += 1;
    }

    /// Returns whether all parts have parked that were waited for.
    pub fn is_complete(&self) -> bool {
        self.lock().missing == 0
    }

    /// Takes a descriptor.
    pub fn put(&self, descriptor: OwnedFd) -> DescriptorId {
        let mut lot = self.lock();
        // A process has fewer descriptors than that.
        let place = u32::try_from(lot.descriptors.len()).unwrap_or(u32::MAX);
        lot.descriptors.push(descriptor);
        DescriptorId(place)
    }

    /// Lets `take` put media into the table.
    pub fn with_blobs<T>(&self, take: impl FnOnce(&mut Blobs) -> T) -> T {
        take(&mut self.lock().blobs)
    }

    /// Closes the lot and returns what was parked.
    pub fn take(&self) -> (Blobs, Vec<OwnedFd>) {
        let closed = Lot { is_closed: true, ..Lot::default() };
        let Lot { blobs, descriptors, .. } = std::mem::replace(&mut *self.lock(), closed);
        (blobs, descriptors)
    }

    /// Returns `true` once it is too late to park: the upgrade has moved on, or was given up.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, Lot> {
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    /// The contents of a parking lot, as they were taken from it.
    pub fn new(blobs: Blobs, descriptors: Vec<OwnedFd>) -> Self {
        let descriptors = Mutex::new(descriptors.into_iter().map(Some).collect());
        Self(Arc::new(Contents { blobs, descriptors }))
    }

    /// The media.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Takes a descriptor out. Each can be had once.
    pub fn take(&self, DescriptorId(place): DescriptorId) -> Result<OwnedFd, StateError> {
        let mut descriptors = self.0.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = usize::try_from(place).ok().and_then(|at| descriptors.get_mut(at)?.take());
        descriptor.ok_or(StateError::Invalid { part: "a connection", reason: "it has no descriptor" })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_descriptor_is_had_once_and_in_its_place() {
        let lot = ParkingLot::new(Instant::now());
        let (near, far): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
        let places: Vec<_> = near.into_iter().map(|near| lot.put(near.into())).collect();
        let (blobs, descriptors) = lot.take();
        assert!(lot.take().1.is_empty());
        let parked = Parked::new(blobs, descriptors);
        let middle = UnixStream::from(parked.take(places[1]).unwrap());
        assert!(parked.take(places[1]).is_err() && parked.take(DescriptorId(3)).is_err());
        drop(middle);
        let is_closed = |peer: &UnixStream| {
            peer.set_nonblocking(true).unwrap();
            std::io::Read::read(&mut &*peer, &mut [0]).is_ok_and(|size_bytes| size_bytes == 0)
        };
        assert_eq!(far.iter().map(is_closed).collect::<Vec<_>>(), [false, true, false]);
        drop(parked);
        assert!(far.iter().all(is_closed));
    }
}
