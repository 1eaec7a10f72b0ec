//! The unit of delivery: a run of FLV tags, contiguous in memory and shared by everyone who gets it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    rtmp::mux::flv_to_chunks,
    stream::{headers::SharedHeaders, wire_format::WireFormat},
};

/// What goes out at one flush of a stream, in order and shared by everyone who gets it: more than one batch if decoding can
/// start within it.
pub type Batches = Arc<[Arc<Batch>]>;

/// A run of a stream's media. Decoding can start at its first tag, or nowhere within it.
#[derive(Debug)]
pub struct Batch {
    /// Whole tags, contiguous.
    pub flv: Bytes,
    /// The same media as RTMP chunks, made for the first who asks.
    chunks: OnceLock<Bytes>,
    /// If decoding can start at the first tag: what the decoder must have first.
    pub start: Option<SharedHeaders>,
    /// The earliest decoding time of its tags, in milliseconds.
    pub first_ms: i64,
    /// The latest decoding time of its tags, in milliseconds.
    pub last_ms: i64,
    /// How many tags it has.
    pub tag_count: u32,
}

impl Batch {
    /// A batch of the tags in `flv`.
    pub fn new(
        flv: Bytes,
        start: Option<SharedHeaders>,
        first_ms: i64,
        last_ms: i64,
        tag_count: u32,
    ) -> Self {
        Self { flv, chunks: OnceLock::new(), start, first_ms, last_ms, tag_count }
    }

    /// The media in a viewer's format. Encoded at most once, whatever the number of viewers.
    pub fn bytes(&self, format: WireFormat) -> &Bytes {
        match format {
            WireFormat::Flv => &self.flv,
            WireFormat::RtmpChunks => self.chunks.get_or_init(|| flv_to_chunks(&self.flv)),
        }
    }
}
