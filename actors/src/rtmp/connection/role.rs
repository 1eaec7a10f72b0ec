//! The role of an RTMP connection: publisher, or none yet. A player is with the viewers of its room.

use std::{net::SocketAddr, time::Duration};

use log::info;
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use crate::{
    access::{Cut, Session as AccessSession},
    rtmp::connections::ConnectionEntry,
    stream::Publication,
    viewer_session::LeaveReason,
};

pub(super) enum Role {
    /// Neither publishes nor plays.
    Negotiating {
        since: Instant,
    },
    Publishing(Publishing),
    /// Gets what is left for it; what it sends is thrown away.
    Closing {
        since: Instant,
    },
}

impl Role {
    pub fn negotiating() -> Self {
        Self::Negotiating { since: Instant::now() }
    }

    pub fn closing() -> Self {
        Self::Closing { since: Instant::now() }
    }

    pub fn is_closing(&self) -> bool {
        matches!(self, Self::Closing { .. })
    }

    /// The reason it is not allowed any longer, if it is not.
    pub fn cut(&self) -> Option<Cut> {
        match self {
            Self::Publishing(publishing) => publishing.access.as_ref()?.cut(),
            Self::Negotiating { .. } | Self::Closing { .. } => None,
        }
    }
}

pub(super) struct Publishing {
    pub room: RoomName,
    pub publication: Publication,
    /// The cut-off of its access.
    pub access: Option<AccessSession>,
    pub since: Instant,
    /// The bytes that the connection had received before.
    pub bytes_before: u64,
    /// The publisher was asked whether it is there, and has not answered.
    pub pinged: bool,
    /// Its place among the node's publishers.
    pub _entry: ConnectionEntry,
}

impl Publishing {
    /// Returns whether it is time to ask: once for each time that it falls silent.
    pub fn is_ping_due(&mut self, silent: Duration, timeout: Duration) -> bool {
        let quiet = silent >= timeout / 2;
        let due = quiet && !self.pinged;
        self.pinged = quiet;
        due
    }

    /// Gives the room back, then says so: who reads it can count on the room.
    pub fn leave(self, reason: &LeaveReason, peer: SocketAddr, received_bytes: u64) {
        drop(self.publication);
        info!(
            room = self.room.as_str(), peer:% = peer, why:% = reason, seconds = self.since.elapsed().as_secs(),
            bytes = received_bytes - self.bytes_before;
            "publisher disconnected");
    }
}
