//! The state of a batch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Batch;
use crate::{
    flv::http_chunk::Chunk,
    stream::{
        headers::{Headers, HeadersState},
        tracks::Tracks,
    },
    upgrade::{BlobId, Blobs, StateError, check_media_time},
};

const PART: &str = "a batch";

/// The state of a [`Batch`]. Of its encodings it has the one that the others are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchState {
    chunk: BlobId,
    start: Option<HeadersState>,
    first_ms: i64,
    last_ms: i64,
    tag_count: u32,
    tracks: Tracks,
}

impl Batch {
    /// Gives its state. The media goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> BatchState {
        BatchState {
            chunk: blobs.put(&self.chunk.whole),
            start: self.start.as_ref().map(|headers| headers.state(blobs)),
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            tag_count: self.tag_count,
            tracks: self.tracks,
        }
    }

    /// Restores it.
    pub fn restore(state: BatchState, blobs: &Blobs) -> Result<Self, StateError> {
        let BatchState { chunk, start, first_ms, last_ms, tag_count, tracks } = state;
        check_media_time(first_ms, PART)?;
        check_media_time(last_ms, PART)?;
        let chunk = Chunk::of_whole(blobs.get(chunk)?);
        let chunk = chunk.ok_or(StateError::Invalid { part: PART, reason: "its media is no HTTP chunk" })?;
        let start = start.map(|headers| Headers::restore(headers, blobs)).transpose()?.map(Arc::new);
        Ok(Self::new(chunk, start, first_ms, last_ms, tag_count, tracks))
    }
}
