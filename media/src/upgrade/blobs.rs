//! Media that parts of a state refer to.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::StateError;

/// A blob's place in [`Blobs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobId(u32);

/// A table of regions of memory, each once however many parts of the state refer to it: the batches of a GOP cache wait in
/// the queues of viewers as well, and share their memory again after the upgrade.
///
/// ```
/// # use synctv_media::upgrade::Blobs;
/// let frame = bytes::Bytes::from_static(b"frame");
/// let mut blobs = Blobs::default();
/// let id = blobs.put(&frame);
/// assert_eq!(blobs.put(&frame.clone()), id);
/// assert_eq!(blobs.get(id), Ok(frame));
/// ```
#[derive(Debug, Default)]
pub struct Blobs {
    regions: Vec<Bytes>,
    /// By address and length. The regions are held, so that no other one gets their addresses.
    by_place: HashMap<(usize, usize), BlobId>,
    size_bytes: usize,
    /// The most bytes that caches may put in, and those that they have reserved.
    cache_max_bytes: Option<usize>,
    cache_bytes: usize,
}

impl Blobs {
    /// A table that takes so many bytes of caches, such as GOPs and segments, and any number of others. What does not fit stays
    /// behind: to carry it would take longer than viewers wait without noticing.
    pub fn with_cache_limit(cache_max_bytes: usize) -> Self {
        Self { cache_max_bytes: Some(cache_max_bytes), ..Self::default() }
    }

    /// Reserves memory for a part of a cache. Returns whether there is so much left; if not, nothing is reserved.
    pub fn reserve_for_cache(&mut self, size_bytes: usize) -> bool {
        let reserved_bytes = self.cache_bytes.saturating_add(size_bytes);
        let fits = self.cache_max_bytes.is_none_or(|max_bytes| reserved_bytes <= max_bytes);
        if fits {
            self.cache_bytes = reserved_bytes;
        }
        fits
    }

    /// A table of these, by their order.
    pub(super) fn of_regions(regions: Vec<Bytes>) -> Self {
        let size_bytes = regions.iter().map(Bytes::len).sum();
        Self { regions, size_bytes, ..Self::default() }
    }

    /// Adds a region, unless it is in the table, and returns its place.
    pub fn put(&mut self, bytes: &Bytes) -> BlobId {
        let next = BlobId(u32::try_from(self.regions.len()).unwrap_or(u32::MAX));
        let id = *self.by_place.entry((bytes.as_ptr() as usize, bytes.len())).or_insert(next);
        if id == next {
            self.size_bytes = self.size_bytes.saturating_add(bytes.len());
            self.regions.push(bytes.clone());
        }
        id
    }

    /// The region at a place. It shares its memory with every other one that is got there.
    pub fn get(&self, id: BlobId) -> Result<Bytes, StateError> {
        let region = usize::try_from(id.0).ok().and_then(|at| self.regions.get(at));
        region.cloned().ok_or(StateError::NoBlob(id.0))
    }

    /// Adds a region that may be absent.
    pub fn put_if_any(&mut self, bytes: Option<&Bytes>) -> Option<BlobId> {
        bytes.map(|bytes| self.put(bytes))
    }

    /// The region of a place that may be absent.
    pub fn get_if_any(&self, id: Option<BlobId>) -> Result<Option<Bytes>, StateError> {
        id.map(|id| self.get(id)).transpose()
    }

    /// The bytes of all regions. Those of a region that is part of another one are counted, although it takes no memory.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// All regions, by their places.
    pub(super) fn regions(&self) -> &[Bytes] {
        &self.regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_in_the_table_once() {
        let bytes = Bytes::from(vec![7; 100]);
        let mut blobs = Blobs::default();
        let whole = blobs.put(&bytes);
        let rest = blobs.put(&bytes.slice(10..));
        assert_ne!(whole, rest);
        assert_eq!(blobs.put(&bytes.slice(10..)), rest);
        assert_eq!(blobs.put_if_any(Some(&bytes)), Some(whole));
        assert_eq!(blobs.size_bytes(), 190);
        let equal = blobs.put(&Bytes::from(vec![7; 100]));
        assert_ne!(equal, whole, "it is other memory");
        assert_eq!(blobs.get(rest).unwrap().as_ptr(), bytes[10..].as_ptr());
    }

    #[test]
    fn caches_are_bounded_and_nothing_else() {
        let mut blobs = Blobs::with_cache_limit(100);
        blobs.put(&Bytes::from(vec![0; 1000]));
        assert!(blobs.reserve_for_cache(60) && !blobs.reserve_for_cache(41));
        assert!(blobs.reserve_for_cache(40) && !blobs.reserve_for_cache(1));
        assert!(Blobs::default().reserve_for_cache(usize::MAX));
    }

    #[test]
    fn a_place_that_is_not_in_the_table_is_refused() {
        let mut blobs = Blobs::default();
        let id = blobs.put(&Bytes::new());
        assert_eq!(blobs.get(id), Ok(Bytes::new()));
        assert_eq!(Blobs::default().get(id), Err(StateError::NoBlob(0)));
        assert_eq!(Blobs::default().get_if_any(Some(id)), Err(StateError::NoBlob(0)));
        assert_eq!(Blobs::default().get_if_any(None), Ok(None));
    }
}
