//! The form in which a viewer gets its media.

/// How a viewer wants its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFormat {
    /// FLV tags (HTTP-FLV).
    Flv,
    /// RTMP chunks of the size that our sessions announce.
    RtmpChunks,
}
