//! The resources of HLS.

use synctv_media::{
    hls::{
        blocking_request::BlockingRequest,
        segment_name::{Piece, SegmentName},
    },
    stream::room::RoomName,
};

use crate::hls::PlaylistAddress;

/// A playlist or a segment of a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HlsResource {
    /// The room's playlist.
    Playlist {
        /// The room.
        room: RoomName,
        /// The text that is requested.
        address: PlaylistAddress,
        /// The segment or part that it has to list before it is answered.
        request: Option<BlockingRequest>,
    },
    /// A segment.
    Segment {
        /// The room.
        room: RoomName,
        /// The segment's name.
        name: SegmentName,
    },
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
            Self::Playlist { room, address, .. } => match address {
                PlaylistAddress::Index => format!("/{app}/{room}/index.m3u8"),
                PlaylistAddress::Flat => format!("/{app}/{room}.m3u8"),
                PlaylistAddress::LowLatency => format!("/{app}/{room}/ll.m3u8"),
                PlaylistAddress::Master => format!("/{app}/{room}/master.m3u8"),
            },
            Self::Segment { room, name } => format!("/{app}/{room}/{name}"),
        }
    }

    /// The same with the query of what it has to list.
    pub(super) fn path_and_query(&self, app: &str) -> String {
        match self {
            Self::Playlist { request: Some(request), .. } => format!("{}?{request}", self.path(app)),
            _ => self.path(app),
        }
    }

    /// Returns whether the answer may be held until there is something new.
    pub fn is_held(&self) -> bool {
        match self {
            Self::Playlist { request, .. } => request.is_some(),
            Self::Segment { name, .. } => matches!(name.piece, Piece::Part(_)),
        }
    }

    /// The same playlist as it is; what is no playlist is itself.
    pub fn at_once(&self) -> Self {
        match self {
            Self::Playlist { room, address, .. } => {
                Self::Playlist { room: room.clone(), address: *address, request: None }
            }
            Self::Segment { .. } => self.clone(),
        }
    }
}
