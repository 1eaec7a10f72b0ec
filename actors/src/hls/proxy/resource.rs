//! What can be asked for over HLS.

use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};

/// A playlist or a segment of a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HlsResource {
    /// The room's playlist.
    Playlist {
        /// The room.
        room: RoomName,
        /// Which of its two texts.
        address: PlaylistAddress,
    },
    /// A segment.
    Segment {
        /// The room.
        room: RoomName,
        /// The segment's name.
        name: SegmentName,
    },
}

/// The two addresses of a playlist: segments are named relative to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaylistAddress {
    /// `/APP/ROOM/index.m3u8`
    Index,
    /// `/APP/ROOM.m3u8`
    Flat,
}

impl HlsResource {
    /// The room.
    pub fn room(&self) -> &RoomName {
        match self {
            Self::Playlist { room, .. } | Self::Segment { room, .. } => room,
        }
    }

    /// The path at which every node has it.
    pub fn path(&self, app: &str) -> String {
        match self {
            Self::Playlist { room, address: PlaylistAddress::Index } => format!("/{app}/{room}/index.m3u8"),
            Self::Playlist { room, address: PlaylistAddress::Flat } => format!("/{app}/{room}.m3u8"),
            Self::Segment { room, name } => format!("/{app}/{room}/{name}"),
        }
    }
}
