//! The unit of delivery: a run of FLV tags, contiguous in memory and shared by everyone who gets it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    http_chunk::{self, Chunk},
    rtmp::mux::flv_to_chunks,
    stream::headers::SharedHeaders,
    websocket,
};

/// How a viewer wants its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFormat {
    /// FLV tags (HTTP-FLV whose body ends with the connection).
    Flv,
    /// FLV tags in chunks of an HTTP/1.1 body.
    FlvChunks,
    /// FLV tags in WebSocket messages.
    FlvMessages,
    /// RTMP chunks of the size that our sessions announce.
    RtmpChunks,
}

impl WireFormat {
    /// Puts FLV that belongs to one connection into this format. RTMP has no file header, which is all there is of it.
    pub fn frame_flv(self, flv: &[u8]) -> Bytes {
        match self {
            Self::Flv => Bytes::copy_from_slice(flv),
            Self::FlvChunks => http_chunk::of(flv),
            Self::FlvMessages => websocket::binary(flv),
            Self::RtmpChunks => Bytes::new(),
        }
    }

    /// Returns what marks the orderly end of the media, if the format has such a mark.
    pub fn end(self) -> Bytes {
        match self {
            Self::FlvChunks => Bytes::from_static(http_chunk::END),
            Self::FlvMessages => websocket::close(),
            Self::Flv | Self::RtmpChunks => Bytes::new(),
        }
    }
}

/// A run of FLV tags in the other formats, each made for the first viewer who needs it and shared by all.
#[derive(Debug, Default)]
pub(crate) struct Encodings {
    http_chunk: OnceLock<Bytes>,
    message: OnceLock<Bytes>,
    rtmp_chunks: OnceLock<Bytes>,
}

impl Encodings {
    /// Returns `flv`, always the same run, in a format.
    pub(crate) fn get<'a>(&'a self, format: WireFormat, flv: &'a Bytes) -> &'a Bytes {
        match format {
            WireFormat::Flv => flv,
            WireFormat::FlvChunks => self.http_chunk.get_or_init(|| http_chunk::of(flv)),
            WireFormat::FlvMessages => self.message.get_or_init(|| websocket::binary(flv)),
            WireFormat::RtmpChunks => self.rtmp_chunks.get_or_init(|| flv_to_chunks(flv)),
        }
    }
}

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
        let encodings = Encodings { http_chunk: whole.into(), ..Encodings::default() };
        Self { flv: content, encodings, start, first_ms, last_ms, tag_count }
    }

    /// The media in a viewer's format. Encoded at most once, whatever the number of viewers.
    pub fn bytes(&self, format: WireFormat) -> &Bytes {
        self.encodings.get(format, &self.flv)
    }
}
