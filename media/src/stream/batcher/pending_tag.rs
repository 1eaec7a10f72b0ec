//! Tags that wait for the next flush.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    flv::{TAG_OVERHEAD_BYTES, http_chunk, put_tag},
    stream::{batch::Batch, frame::Track, headers::SharedHeaders, tracks::Tracks},
};

/// A tag in its place on the timeline. With `start`, decoding can begin at it.
#[derive(Debug)]
pub(super) struct PendingTag {
    pub(super) track: Track,
    pub(super) time_ms: i64,
    pub(super) payload: Bytes,
    pub(super) kind: TagKind,
    pub(super) start: Option<SharedHeaders>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TagKind {
    Coded,
    /// Is at 0 always: FFmpeg takes it for a text track at any other time.
    Metadata,
    Other,
}

/// Writes tags as one batch, which viewers can begin with if its first tag can be decoded alone.
pub(super) fn encode(tags: &[PendingTag]) -> Batch {
    let size_bytes = tags.iter().map(|tag| TAG_OVERHEAD_BYTES + tag.payload.len()).sum();
    let mut flv = http_chunk::begin(size_bytes);
    let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
    let mut tracks = Tracks::default();
    for tag in tags {
        let stamp_ms = if tag.kind == TagKind::Metadata { 0 } else { tag.time_ms };
        put_tag(&mut flv, tag.track, stamp_ms, &tag.payload);
        first_ms = first_ms.min(tag.time_ms);
        last_ms = last_ms.max(tag.time_ms);
        if tag.kind == TagKind::Coded {
            tracks.insert(tag.track);
        }
    }
    let start = tags.first().and_then(|tag| tag.start.clone());
    Batch::new(http_chunk::end(flv), start, first_ms, last_ms, tags.len() as u32, tracks)
}
