//! One viewer's stay at a stream, counted and logged the same way for every protocol.

use std::{fmt, io, net::SocketAddr, time::Duration};

use log::Level;
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use crate::{
    access::{Cut, Session as AccessSession},
    events::EndReason,
    stream::{CountedViewer, StreamHandle},
    viewer_socket::ViewerSocket,
};

/// The protocol that a viewer watches over, as the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewerProtocol {
    /// HTTP-FLV.
    HttpFlv,
    /// FLV in WebSocket messages.
    WebSocketFlv,
    /// RTMP play.
    Rtmp,
    /// HTTP-FLV to another node, which serves viewers of its own. It does not count as a viewer.
    Pull,
}

/// Why a viewer, or an RTMP publisher, is no longer served.
#[derive(Debug)]
pub(crate) enum LeaveReason {
    /// The peer closed the connection, or it failed.
    Disconnected(io::Error),
    /// The viewer asked for it, by a command of its protocol.
    Stopped,
    /// The viewer accepted nothing for this long.
    Stalled(Duration),
    /// The stream ended.
    Ended(EndReason),
    /// This node closes the connection, for the reason in the text.
    Closed(String),
}

/// A viewer from when it was let in until it left. It counts while the value lives.
#[derive(Debug)]
pub(crate) struct ViewerSession {
    room: RoomName,
    peer: SocketAddr,
    protocol: ViewerProtocol,
    since: Instant,
    /// The cut-off of its access.
    access: Option<AccessSession>,
    _counted: Option<CountedViewer>,
}

impl ViewerProtocol {
    /// Returns the name that logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HttpFlv => "http-flv",
            Self::WebSocketFlv => "ws-flv",
            Self::Rtmp => "rtmp",
            Self::Pull => "pull",
        }
    }
}

impl ViewerSession {
    /// Counts and logs a viewer of `stream`, whom `access` may cut.
    pub fn begin(
        stream: &StreamHandle,
        peer: SocketAddr,
        protocol: ViewerProtocol,
        access: Option<AccessSession>,
    ) -> Self {
        let room = stream.room().clone();
        log::info!(room = room.as_str(), peer:% = peer, protocol = protocol.as_str(); "viewer connected");
        let _counted = (protocol != ViewerProtocol::Pull).then(|| stream.count_viewer());
        Self { room, peer, protocol, since: Instant::now(), access, _counted }
    }

    /// Returns why the viewer is not allowed any longer, if it is not. To be asked about once a second.
    pub fn cut(&self) -> Option<Cut> {
        self.access.as_ref()?.cut()
    }

    /// Logs the end of the viewer's stay, with what `socket` sent and dropped.
    pub fn end(&self, reason: &LeaveReason, socket: &ViewerSocket) {
        let dropped = socket.dropped();
        log::log!(reason.level(),
            room = self.room.as_str(), peer:% = self.peer, why:% = reason, protocol = self.protocol.as_str(),
            seconds = self.since.elapsed().as_secs(), bytes = socket.sent_bytes(),
            dropped_tags = dropped.tags, skips = dropped.skips;
            "viewer disconnected");
    }
}

impl LeaveReason {
    fn level(&self) -> Level {
        match self {
            Self::Stalled(_) => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(error) if is_orderly(error) => f.write_str("connection closed by the peer"),
            Self::Disconnected(error) => write!(f, "connection lost: {error}"),
            Self::Stopped => f.write_str("stopped playing"),
            Self::Stalled(limit) => write!(f, "stalled: no bytes accepted for {} s", limit.as_secs()),
            Self::Ended(reason) => reason.fmt(f),
            Self::Closed(why) => f.write_str(why),
        }
    }
}

fn is_orderly(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionAborted)
}
