//! The role of an RTMP connection: publisher, player, or neither yet.

use std::{net::SocketAddr, time::Duration};

use actix::Recipient;
use log::info;
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use crate::{
    access::{Cut, Session as AccessSession},
    events::{StreamEvent, SubscriberRole, ViewerId},
    metrics::ViewerProtocol,
    stream::{Publication, StreamHandle},
    subscription::Subscription,
    viewer_session::{LeaveReason, ViewerSession},
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
        match self {
            Self::Publishing(publishing) => publishing.access.as_ref()?.cut(),
            Self::Playing(playing) => playing.session.cut(),
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
}

impl Publishing {
    /// Returns `true` if it is time to ask: once for each time that it falls silent.
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

pub(super) struct Playing {
    stream: StreamHandle,
    /// None while it is paused.
    subscription: Option<Subscription>,
    /// Apart, as a connection is a publisher's more often than a player's.
    pub session: Box<ViewerSession>,
}

impl Playing {
    pub fn new(
        stream: StreamHandle,
        peer: SocketAddr,
        access: Option<AccessSession>,
        asked: Instant,
    ) -> Self {
        let session = Box::new(ViewerSession::begin(&stream, peer, ViewerProtocol::Rtmp, access, asked));
        Self { stream, subscription: None, session }
    }

    pub fn is_subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    pub fn is_stream_alive(&self) -> bool {
        self.stream.is_alive()
    }

    pub fn subscribe(&mut self, recipient: Recipient<StreamEvent>) {
        let subscription = Subscription::new(self.stream.clone(), SubscriberRole::Viewers);
        subscription.join(PLAYER, recipient);
        self.subscription = Some(subscription);
    }

    /// Ends the subscription: events that are on their way are not for this play any more. The future ends when the stream
    /// sends no more of them.
    pub fn unsubscribe(&mut self) -> impl Future<Output = ()> + use<> {
        let subscription = self.subscription.take();
        async move {
            if let Some(subscription) = subscription {
                subscription.leave().await;
            }
        }
    }

    /// Notes that media was sent whose newest frame was read at `received`.
    pub fn note_sent(&mut self, socket: &ViewerSocket, received: Instant) {
        self.session.awaits_media(socket.sent_bytes());
        self.stream.meters().node().publish_to_send.observe(received.elapsed());
    }

    pub fn leave(mut self, reason: &LeaveReason, socket: &ViewerSocket) {
        self.session.end(reason, socket.delivered());
    }
}
