//! A stored segment over an upgrade in place.

use std::{path::PathBuf, sync::Mutex};

use serde::{Deserialize, Serialize};
use synctv_media::{
    hls::{
        container::SegmentFormat,
        segment_name::{Piece, SegmentName},
    },
    upgrade::{BlobId, Blobs, StateError},
};

use super::{State, StoredSegment};

/// A stored segment as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hls) struct StoredSegmentState {
    pub sequence: u64,
    piece: Piece,
    size_bytes: usize,
    part_ends: Vec<usize>,
    place: PlaceState,
}

/// Files are found by their names.
#[derive(Debug, Serialize, Deserialize)]
enum PlaceState {
    Memory(BlobId),
    File,
    Gone,
}

impl StoredSegment {
    /// Returns whether memory is the only place that it is in.
    pub(in crate::hls) fn is_only_in_memory(&self) -> bool {
        matches!(&*self.state(), State::Memory { file: None, .. })
    }

    /// The segment as plain data. Its bytes are left to its file, if there is one: a file is read as fast as it takes to carry
    /// them, and nothing waits for that. Otherwise they are in it if `with_bytes`.
    pub(in crate::hls) fn plain(&self, blobs: &mut Blobs, with_bytes: bool) -> StoredSegmentState {
        let place = match &*self.state() {
            State::File(_) | State::Memory { file: Some(_), .. } => PlaceState::File,
            State::Memory { bytes, file: None } if with_bytes => PlaceState::Memory(blobs.put(bytes)),
            State::Memory { .. } | State::Gone => PlaceState::Gone,
        };
        let SegmentName { sequence, piece, .. } = self.name;
        let part_ends = self.part_ends.to_vec();
        StoredSegmentState { sequence, piece, size_bytes: self.size_bytes, part_ends, place }
    }

    /// The segment that gave the state. `path_of` is the path of its file, if there are files.
    pub(in crate::hls) fn restore(
        state: StoredSegmentState,
        format: &'static SegmentFormat,
        path_of: &impl Fn(SegmentName) -> Option<PathBuf>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        const PART: &str = "a segment";
        let StoredSegmentState { sequence, piece, size_bytes, part_ends, place } = state;
        let name = SegmentName { sequence, piece, format };
        let are_within = part_ends.is_sorted() && part_ends.iter().all(|end| *end <= size_bytes);
        StateError::unless(are_within, PART, "its parts are not within it")?;
        let stored = match place {
            PlaceState::Memory(id) => State::Memory { bytes: blobs.get(id)?, file: None },
            PlaceState::File => path_of(name).map_or(State::Gone, |path| State::File(path.into())),
            PlaceState::Gone => State::Gone,
        };
        let has_size = !matches!(&stored, State::Memory { bytes, .. } if bytes.len() != size_bytes);
        StateError::unless(has_size, PART, "it has another size")?;
        Ok(Self { name, size_bytes, part_ends: part_ends.into(), state: Mutex::new(stored) })
    }
}
