//! Settings that all streams of a node share.

use std::time::Duration;

use synctv_media::stream::{gop::GopLimits, video_entry::EntryLimits};

use crate::access::NodeKeys;

/// Settings that all streams share.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Limits of the cache for viewers who join.
    pub gop: GopLimits,
    /// The limits of where viewers begin with its video.
    pub entry: EntryLimits,
    /// The times at which media is sent.
    pub flush: Flush,
    /// Time that viewers are kept without a publisher.
    pub grace: Duration,
    /// For rooms that other nodes publish.
    pub pull: PullSettings,
}

/// The times at which a stream's media goes to its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// As it arrives: the lowest delay, the most writes.
    EveryTag,
    /// With every video frame; audio is sent with it.
    EveryFrame,
    /// At this interval: the fewest writes.
    Every(Duration),
}

/// Settings that all pulls share.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// Signs requests to origins.
    pub nodes: NodeKeys,
    /// Time that a pull continues without viewers.
    pub linger: Duration,
    /// Time that viewers are kept while no node publishes the room.
    pub grace: Duration,
    /// The size of the largest frame that is taken from an origin, in bytes.
    pub frame_limit_bytes: usize,
}
