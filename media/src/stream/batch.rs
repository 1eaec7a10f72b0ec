//! The unit of delivery: a run of FLV tags, contiguous in memory and shared by everyone who gets it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    flv::http_chunk::Chunk,
    stream::{
        headers::SharedHeaders,
        wire_format::{Encodings, WireFormat},
    },
};

/// What goes out at one flush of a stream, in order and shared by everyone who gets it: more than one batch if decoding can
/// start within it.
pub type Batches = Arc<[Arc<Batch>]>;

/// A run of a stream's media. Decoding can start at its first tag, or nowhere within it.
#[derive(Debug)]
pub struct Batch {
    /// Whole tags, contiguous.
    pub flv: Bytes,
    encodings: Encodings,
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
    /// A batch of the tags in `chunk`.
    pub fn new(
        chunk: Chunk,
        start: Option<SharedHeaders>,
        first_ms: i64,
        last_ms: i64,
        tag_count: u32,
    ) -> Self {
        let Chunk { whole, content } = chunk;
        let encodings = Encodings::of_http_chunk(whole);
        Self { flv: content, encodings, start, first_ms, last_ms, tag_count }
    }

    /// The media in a viewer's format. Encoded at most once, whatever the number of viewers.
    pub fn bytes(&self, format: WireFormat) -> &Bytes {
        self.encodings.get(format, &self.flv)
    }
}
