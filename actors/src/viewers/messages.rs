//! The messages that the viewers of a room take.

use std::net::SocketAddr;

use actix::Message;
use bytes::Bytes;
use synctv_media::stream::wire_format::WireFormat;
use tokio::time::Instant;

use super::{inbox::Inbox, kind::ViewerKind, player::Player};
use crate::{
    access::Session as AccessSession,
    connection_limit::ConnectionPermit,
    events::ViewerId,
    metrics::ViewerProtocol,
    stream::CountedViewer,
    upgrade::{lot::ParkingLot, states::ShareState},
    viewer_socket::ViewerSocket,
    wire::Wire,
};

/// A viewer who asked for a stream over HTTP, with the request already read off the socket.
#[derive(Debug)]
pub struct NewViewer {
    /// The viewer's connection, with TCP_NODELAY set.
    pub wire: Wire,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The head of the response, to be sent before the media.
    pub head: Bytes,
    /// Counts the connection until it ends.
    pub permit: ConnectionPermit,
    /// Whom it serves.
    pub kind: ViewerKind,
    /// It asked for a [notice](synctv_media::flv::moving) before a draining node closes its connection.
    pub wants_notice: bool,
    /// The form of media that the head of the response announces.
    pub format: WireFormat,
    /// The cut-off of its access.
    pub access: Option<AccessSession>,
    /// The time at which the head of its request was complete.
    pub asked: Instant,
}

/// An RTMP player whose play was accepted.
#[derive(Debug)]
pub(crate) struct NewPlayer {
    /// Its connection, with the replies that wait for it.
    pub socket: ViewerSocket,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The protocol's side of it.
    pub player: Box<dyn Player>,
    /// The cut-off of its access.
    pub access: Option<AccessSession>,
    /// The time of its request to play.
    pub asked: Instant,
}

/// A viewer of any protocol, on its way to the thread that serves it.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub socket: ViewerSocket,
    pub peer: SocketAddr,
    pub protocol: ViewerProtocol,
    pub inbox: Inbox,
    /// It gets a notice in its media before it is disconnected. Players do not: they have requests to reconnect.
    pub wants_notice: bool,
    /// To be sent before the media.
    pub head: Bytes,
    pub access: Option<AccessSession>,
    pub asked: Instant,
    /// Players keep their own.
    pub permit: Option<ConnectionPermit>,
}

impl From<NewViewer> for Newcomer {
    fn from(viewer: NewViewer) -> Self {
        let NewViewer { wire, peer, head, permit, kind, wants_notice, format, access, asked } = viewer;
        Self {
            socket: ViewerSocket::new(wire, format, Instant::now().into_std()),
            peer,
            protocol: kind.protocol(format),
            inbox: Inbox::new(kind, format),
            wants_notice,
            head,
            access,
            asked,
            permit: Some(permit),
        }
    }
}

impl From<NewPlayer> for Newcomer {
    fn from(NewPlayer { socket, peer, player, access, asked }: NewPlayer) -> Self {
        Self {
            socket,
            peer,
            protocol: ViewerProtocol::Rtmp,
            inbox: Inbox::Player(player),
            wants_notice: false,
            head: Bytes::new(),
            access,
            asked,
            permit: None,
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
    pub viewer: Newcomer,
    pub guard: ViewerGuard,
    /// Another thread accepted it.
    pub is_from_elsewhere: bool,
}

/// The node is upgraded in place: the viewers stop where they are.
#[derive(Message)]
#[rtype(result = "ShareState")]
pub(super) struct Park {
    pub lot: ParkingLot,
}

/// A socket that took no more may take more now.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Writable(pub ViewerId);

/// A player's socket may have something to read.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Readable(pub ViewerId);
