//! The form in which a viewer gets its media.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    flv::{http_chunk, websocket},
    rtmp::mux::flv_to_chunks,
};

/// The form of media on a viewer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// The bytes that signal the end of the media, where the format has them.
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
