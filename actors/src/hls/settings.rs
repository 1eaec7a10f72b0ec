//! Settings of HLS.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use synctv_media::hls::{
    container::{Container, SegmentFormat},
    fmp4::container::Fmp4Container,
    playlist::PartConfig,
    ts::container::TsContainer,
};

use super::storage;

/// The form of a session's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HlsForm {
    /// MPEG-TS.
    Ts,
    /// Fragmented MP4.
    Fmp4,
}

impl HlsForm {
    /// The format of its segments.
    pub fn format(self) -> &'static SegmentFormat {
        match self {
            Self::Ts => TsContainer::FORMAT,
            Self::Fmp4 => Fmp4Container::FORMAT,
        }
    }

    /// The form that has segments of this format.
    pub(super) fn of_format(format: &SegmentFormat) -> Self {
        if *format == *Fmp4Container::FORMAT { Self::Fmp4 } else { Self::Ts }
    }
}

/// The streams that are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HlsMode {
    /// All, as long as they last: a viewer never waits for a stream that has been live for a while.
    Always,
    /// Those that someone watches.
    OnDemand,
}

/// The HLS settings of all rooms.
#[derive(Debug, Clone)]
pub struct HlsSettings {
    /// The streams that are cut into MPEG-TS.
    pub mode: HlsMode,
    /// The streams that are cut into fragmented MP4, if any.
    pub fmp4: Option<HlsMode>,
    /// The parts of fragmented MP4, if there are any.
    pub parts: Option<PartConfig>,
    /// Minimum duration of a segment, in milliseconds.
    pub target_ms: u32,
    /// Number of segments in a playlist.
    pub window: usize,
    /// Directory for segments, with a subdirectory for each room.
    pub storage: PathBuf,
    /// Maximum memory for segments of all rooms that are in files as well, and for buffers of new ones, in bytes.
    pub memory_max_bytes: usize,
    /// Time that the playlist and segments stay after the stream has ended.
    pub keep_ended: Duration,
    /// Other nodes may have had the room before. This node cannot know, so each playlist begins with a discontinuity.
    pub in_cluster: bool,
    /// On demand: how long a stream is cut without anyone asking for the playlist.
    pub idle_timeout: Duration,
}

impl HlsSettings {
    /// The streams that are cut into segments of a form, if any.
    pub fn mode_of(&self, form: HlsForm) -> Option<HlsMode> {
        match form {
            HlsForm::Ts => Some(self.mode),
            HlsForm::Fmp4 => self.fmp4,
        }
    }

    /// The first sequence number that no earlier process of a node which is alone has used. Nodes that share a store have
    /// their numbers there.
    pub fn first_sequence(&self) -> u64 {
        storage::first_sequence(&self.storage)
    }
}
