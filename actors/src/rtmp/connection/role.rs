//! What an RTMP connection is there for.

use std::{net::SocketAddr, time::Duration};

use actix::Recipient;
use log::info;
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use crate::{
    access::{Cut, Session as AccessSession},
    events::{StreamEvent, SubscriberId, ViewerId},
    stream::{CountedViewer, Publication, StreamHandle},
    viewer_socket::ViewerSocket,
};

/// An RTMP player is the only viewer of its subscription.
const PLAYER: ViewerId = ViewerId(0);

pub(super) enum Role {
    /// Neither publishes nor plays.
    Negotiating {
        since: Instant,
    },
    Publishing(Publishing),
    Playing(Playing),
    /// Gets what is left for it; what it sends is thrown away.
    Closing {
        since: Instant,
    },
}

impl Role {
    /// Why it is not allowed any longer, if it is not.
    pub fn cut(&self) -> Option<Cut> {
        let access = match self {
            Self::Publishing(publishing) => publishing.access.as_ref(),
            Self::Playing(playing) => playing.access.as_ref(),
            Self::Negotiating { .. } | Self::Closing { .. } => None,
        };
        access?.cut()
    }
}

pub(super) struct Publishing {
    pub room: RoomName,
    pub publication: Publication,
    /// What may cut it.
    pub access: Option<AccessSession>,
    pub since: Instant,
    /// What the connection had received before.
    pub bytes_before: u64,
    /// The publisher was asked whether it is there, and has not answered.
    pub pinged: bool,
}

impl Publishing {
    /// Whether to ask now: once for each time that it falls silent.
    pub fn is_ping_due(&mut self, silent: Duration, timeout: Duration) -> bool {
        let quiet = silent >= timeout / 2;
        let due = quiet && !self.pinged;
        self.pinged = quiet;
        due
    }

    /// Gives the room back, then says so: who reads it can count on the room.
    pub fn leave(self, why: &str, peer: SocketAddr, received_bytes: u64) {
        drop(self.publication);
        info!(
            room = self.room.as_str(), peer:% = peer, why = why, seconds = self.since.elapsed().as_secs(),
            bytes = received_bytes - self.bytes_before;
            "publisher left");
    }
}

pub(super) struct Playing {
    stream: StreamHandle,
    subscriber: SubscriberId,
    since: Instant,
    /// What may cut it.
    access: Option<AccessSession>,
    _counted: CountedViewer,
}

impl Playing {
    pub fn new(stream: StreamHandle, access: Option<AccessSession>) -> Self {
        let _counted = stream.count_viewer();
        Self { stream, subscriber: SubscriberId::unique(), since: Instant::now(), access, _counted }
    }

    pub fn is_stream_alive(&self) -> bool {
        self.stream.is_alive()
    }

    pub fn join(&self, recipient: Recipient<StreamEvent>) {
        self.stream.join(self.subscriber, PLAYER, recipient);
    }

    pub fn log_leave(&self, why: &str, peer: SocketAddr, socket: &ViewerSocket) {
        let dropped = socket.dropped();
        info!(
            room = self.stream.room().as_str(), peer:% = peer, why = why, protocol = "rtmp",
            seconds = self.since.elapsed().as_secs(), bytes = socket.sent_bytes(),
            dropped_tags = dropped.tags, skips = dropped.skips;
            "viewer left");
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stream.leave(self.subscriber);
    }
}
