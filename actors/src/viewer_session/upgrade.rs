//! A viewer's stay over an upgrade in place: one stay, logged and counted once.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{Delivered, FirstMedia, ViewerSession};
use crate::{
    access::Session as AccessSession,
    metrics::ViewerProtocol,
    stream::StreamHandle,
    upgrade::{
        moment::{age_ms, instant_of_age},
        states::AccessState,
    },
};

/// A stay, as the next program goes on with it.
#[derive(Debug)]
pub(crate) struct ParkedStay {
    pub peer: SocketAddr,
    pub access: Option<AccessState>,
    pub since_ago_ms: u64,
    /// Age of the viewer's request, and the bytes in front of media, while none was sent.
    pub awaits_media: Option<(u64, u64)>,
}

impl ViewerSession {
    /// Ends the stay for this program, and neither for the log nor for the viewer.
    pub fn park(mut self, delivered: Delivered, now: Instant) -> ParkedStay {
        self.count(delivered);
        let awaits_media = match self.first_media {
            FirstMedia::Awaited { since, head_bytes } => Some((age_ms(since, now), head_bytes)),
            FirstMedia::Sent => None,
        };
        let access = self.access.take().map(AccessSession::park);
        ParkedStay { peer: self.peer, access, since_ago_ms: age_ms(self.since, now), awaits_media }
    }

    /// Goes on with a stay at `stream`, of which `delivered` was counted.
    pub fn resume(
        stream: &StreamHandle,
        protocol: ViewerProtocol,
        stay: ParkedStay,
        access: Option<AccessSession>,
        delivered: Delivered,
        now: Instant,
    ) -> Self {
        let meters = stream.meters().clone();
        meters.viewer_came(protocol);
        let mut session = Self {
            room: stream.room().clone(),
            peer: stay.peer,
            protocol,
            since: instant_of_age(stay.since_ago_ms, now),
            access,
            meters,
            counted: Delivered { queue_bytes: 0, ..delivered },
            first_media: match stay.awaits_media {
                Some((asked_ago_ms, head_bytes)) => {
                    FirstMedia::Awaited { since: instant_of_age(asked_ago_ms, now), head_bytes }
                }
                None => FirstMedia::Sent,
            },
            _counted: (protocol != ViewerProtocol::Pull).then(|| stream.count_viewer()),
        };
        session.count_queue(delivered.queue_bytes);
        session.counted = delivered;
        session
    }
}
