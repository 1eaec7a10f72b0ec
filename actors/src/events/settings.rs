//! What all streams of a node have in common.

use std::time::Duration;

use synctv_media::stream::{batcher::BatcherConfig, gop::GopLimits};

use crate::access::NodeKeys;

/// What all streams have in common.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// What is cached for viewers who join.
    pub gop: GopLimits,
    /// How a stream's frames are judged.
    pub batcher: BatcherConfig,
    /// When media goes out.
    pub flush: Flush,
    /// How long viewers are kept when the publisher is gone.
    pub grace: Duration,
    /// For rooms that other nodes publish.
    pub pull: PullSettings,
}

/// When a stream's media goes to its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// As it arrives: the lowest delay, the most writes.
    EveryTag,
    /// With every picture; sound rides along.
    EveryFrame,
    /// At this interval: the fewest writes.
    Every(Duration),
}

/// What all pulls have in common.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// Signs requests to origins.
    pub nodes: NodeKeys,
    /// How long a pull goes on when nobody watches any more.
    pub linger: Duration,
    /// How long viewers are kept while no node publishes the room.
    pub grace: Duration,
    /// The size of the largest frame that is taken from an origin, in bytes.
    pub frame_limit_bytes: usize,
}
