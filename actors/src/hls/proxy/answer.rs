//! Answers of the HLS proxy.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::hls::{PlaylistText, StoredSegment};

/// The outcome of a request.
pub type Outcome = Result<Answer, HlsProxyError>;

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The playlist.
    Playlist(Arc<PlaylistText>),
    /// The segment.
    Segment(Arc<StoredSegment>),
    /// The publisher's node refuses, for a reason that its own viewers get as well.
    Refused(Arc<Refusal>),
    /// No other node publishes the room.
    Nowhere,
    /// The room is, or was last, on this node. Its media begins at this number or above: a playlist below it is
    /// outdated, and the new one has not begun yet.
    Here {
        /// The number.
        from_sequence: u64,
    },
    /// No node publishes the room, and what this one has of it is outdated: another one had the room since, which does not
    /// answer any more.
    Past,
    /// The room is published on a node that has no HLS.
    HlsOff {
        /// The node's name.
        node: String,
    },
}

/// A refusal of another node in place of a playlist or a segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: String,
    /// Time until the next attempt, in seconds.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The reason there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HlsProxyError {
    /// The publisher's node cannot be reached, is too slow or broke off.
    #[error("node {node}, where the room is published, does not answer: {reason}")]
    Origin {
        /// The node's name.
        node: String,
        /// The error.
        reason: String,
    },
    /// It is not known which node that is, if any.
    #[error("the registry does not say whether another node publishes the room")]
    Registry,
    /// Too many wait already.
    #[error("too many requests wait for other nodes")]
    Busy,
    /// The server stops.
    #[error("the HLS proxy has stopped")]
    Stopped,
}
