//! The state of one chunk stream.

/// The state of one chunk stream (section 5.3.1.2): the last header, and the message that is arriving.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub csid: u32,
    pub type_id: u8,
    pub stream_id: u32,
    pub len_bytes: usize,
    pub timestamp_ms: u32,
    /// The timestamp delta that a type 3 chunk adds again when it starts a message.
    pub delta_ms: u32,
    /// The extended field of the last type 0, 1 or 2 chunk, which type 3 chunks repeat.
    pub extended: Option<u32>,
    pub arrived: Option<Vec<u8>>,
}

/// Finds a chunk stream by its id. There are few, so that a scan is faster than a map.
pub(super) fn find(streams: &[ChunkStream], csid: u32) -> Option<usize> {
    streams.iter().position(|stream| stream.csid == csid)
}
