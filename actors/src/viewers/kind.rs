//! The kind of HTTP-FLV viewer.

use synctv_media::stream::wire_format::WireFormat;

use crate::metrics::ViewerProtocol;

/// The kind of HTTP-FLV viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerKind {
    /// Someone who stays while the publisher is away for a moment.
    Viewer,
    /// A node that pulls for its own viewers. It is disconnected when the room has no publisher here.
    Node,
}

impl ViewerKind {
    /// The protocol of a viewer of this kind that gets its media in `format`.
    pub fn protocol(self, format: WireFormat) -> ViewerProtocol {
        match (self, format) {
            (Self::Node, _) => ViewerProtocol::Pull,
            (Self::Viewer, WireFormat::FlvMessages) => ViewerProtocol::WebSocketFlv,
            (Self::Viewer, _) => ViewerProtocol::HttpFlv,
        }
    }
}
