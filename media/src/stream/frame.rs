//! One media message as its publisher sent it.

mod state;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
pub use state::FrameState;

/// The track of a frame. FLV tags and RTMP messages use the same numbers (FLV v10.1 E.4.1, RTMP 1.0 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Track {
    /// Message and tag type 8.
    Audio,
    /// Message and tag type 9.
    Video,
    /// Message and tag type 18: script data, such as onMetaData.
    Data,
}

impl Track {
    /// The type id of its FLV tags and RTMP messages.
    pub const fn type_id(self) -> u8 {
        match self {
            Track::Audio => 8,
            Track::Video => 9,
            Track::Data => 18,
        }
    }

    /// The track of a type id, if it is one of media.
    pub const fn from_type_id(type_id: u8) -> Option<Self> {
        match type_id {
            8 => Some(Track::Audio),
            9 => Some(Track::Video),
            18 => Some(Track::Data),
            _ => None,
        }
    }
}

/// A media message: the body of an FLV tag, which is the payload of an RTMP message of the same type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The frame's track.
    pub track: Track,
    /// The publisher's decoding time in milliseconds; wraps at 2^32.
    pub timestamp_ms: u32,
    /// The tag's body, with the codec's own header first. For [`Track::Data`], AMF0 values, the first of which is the
    /// name ("onMetaData").
    pub payload: Bytes,
}
