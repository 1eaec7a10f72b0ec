//! Settings of HLS.

use std::{path::PathBuf, time::Duration};

use super::storage;

/// Which streams are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HlsMode {
    /// All, as long as they last: a viewer never waits for a stream that has been live for a while.
    Always,
    /// Those that someone watches.
    OnDemand,
}

/// What HLS of all rooms has in common.
#[derive(Debug, Clone)]
pub struct HlsSettings {
    /// Which streams are cut.
    pub mode: HlsMode,
    /// How long segments should be, in milliseconds.
    pub target_ms: u32,
    /// How many segments a playlist lists.
    pub window: usize,
    /// Where segments are written to, a directory a room.
    pub storage: PathBuf,
    /// How much memory the segments of all rooms may take that are in files as well, and buffers for new ones, in bytes.
    pub memory_max_bytes: usize,
    /// How long the playlist and segments stay when the stream has ended.
    pub keep_ended: Duration,
    /// Other nodes may have had the room before. Nothing here tells, so that each playlist begins with a discontinuity.
    pub in_cluster: bool,
    /// On demand: how long a stream is cut without anyone asking for the playlist.
    pub idle_timeout: Duration,
}

impl HlsSettings {
    /// The first sequence number that no earlier process of a node which is alone has used. Nodes that share a store have
    /// their numbers there.
    pub fn first_sequence(&self) -> u64 {
        storage::first_sequence(&self.storage)
    }
}
