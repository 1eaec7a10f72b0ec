//! The messages that the viewers of a room take.

use std::net::SocketAddr;

use actix::Message;
use bytes::Bytes;
use synctv_media::stream::wire_format::WireFormat;
use tokio::time::Instant;

use crate::{
    access::Session as AccessSession, connection_limit::ConnectionPermit, events::ViewerId,
    metrics::ViewerProtocol, stream::CountedViewer, wire::Wire,
};

/// A viewer who asked for a stream, with the request already read off the socket.
#[derive(Debug)]
pub struct NewViewer {
    /// The viewer's connection, with TCP_NODELAY set.
    pub wire: Wire,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The head of the response, to be sent before the media.
    pub head: Bytes,
    /// Counts the connection for as long as it lasts.
    pub permit: ConnectionPermit,
    /// Whom it serves.
    pub kind: ViewerKind,
    /// It asked for a [notice](synctv_media::flv::moving) before a draining node closes its connection.
    pub wants_notice: bool,
    /// The form of media that the head of the response announces.
    pub format: WireFormat,
    /// The cut-off of its access.
    pub access: Option<AccessSession>,
    /// When the head of its request was there.
    pub asked: Instant,
}

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

/// Counts a viewer, from before it is sent to its thread until it left.
#[derive(Debug)]
pub(super) struct ViewerGuard {
    pub _of_worker: CountedViewer,
    pub _of_share: CountedViewer,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Admit {
    pub viewer: NewViewer,
    pub guard: ViewerGuard,
    /// Another thread accepted it.
    pub is_from_elsewhere: bool,
}

/// A socket that took no more may take more now.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Writable(pub ViewerId);
