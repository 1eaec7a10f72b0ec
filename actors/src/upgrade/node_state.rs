//! The state of a node: that of its parts.

use serde::{Deserialize, Serialize};

use super::{
    lot::DescriptorId,
    states::{ClaimsState, EventsState, ParkedStreamState, PublisherState, ViewerState},
};
use crate::hls::HlsState;

/// A node.
#[derive(Default, Serialize, Deserialize)]
pub struct NodeState {
    /// The secret that its signatures are made with, unless it is set or shared.
    pub secret: Option<String>,
    /// Administrators' orders, each with the time of its end in milliseconds since 1970.
    pub orders: Vec<(String, u64)>,
    /// The rooms that it has claimed.
    pub claims: ClaimsState,
    /// Reports that were not delivered, if they are wanted.
    pub events: Option<EventsState>,
    /// Its streams, each with its connections.
    pub rooms: Vec<RoomState>,
    /// Its HLS sessions, and the lock of the directory that their files are in.
    pub hls: Option<(HlsState, Option<DescriptorId>)>,
}

/// A stream and its connections.
#[derive(Serialize, Deserialize)]
pub struct RoomState {
    /// The stream.
    pub stream: ParkedStreamState,
    /// Its publisher, if that is one of this node.
    pub publisher: Option<PublisherState>,
    /// Its viewers over HTTP-FLV and RTMP.
    pub viewers: Vec<ViewerState>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use synctv_media::upgrade::format::{check_format, format_of};

    use super::NodeState;

    #[test]
    fn a_format_that_has_changed_has_another_version() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upgrade/format.txt");
        let lines = format_of::<NodeState>().unwrap();
        check_format(&lines, &file).unwrap_or_else(|change| panic!("{change}"));
    }
}
