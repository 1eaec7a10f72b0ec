//! Reports of who publishes and who watches, for a service that wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};
use synctv_media::access::Action;

use super::{about::About, request::Protocol};
use crate::{
    clock::unix_ms,
    upgrade::states::{EventState, ProtocolState},
};

/// The number of the next report of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EventKind {
    Publish,
    Unpublish,
    Play,
    Stop,
}

impl EventKind {
    pub fn begun(action: Action) -> Self {
        if action == Action::Publish { Self::Publish } else { Self::Play }
    }

    pub fn ended(action: Action) -> Self {
        if action == Action::Publish { Self::Unpublish } else { Self::Stop }
    }
}

/// One report. It may arrive more than once, under the same `id`; `number` grows within a node, so that the newest of a
/// room is known.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    /// Of this process; the agent puts the process in front.
    pub number: u64,
    pub event: EventKind,
    pub room: String,
    #[serde(serialize_with = "by_name")]
    pub protocol: Protocol,
    pub peer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    pub at_unix_ms: u64,
}

impl Event {
    pub fn new(event: EventKind, about: &About) -> Self {
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            event,
            room: about.room.to_string(),
            protocol: about.protocol,
            peer: about.peer.to_string(),
            sub: about.subject.clone(),
            jti: about.token_id.clone(),
            at_unix_ms: unix_ms(),
        }
    }
    /// The report for the next program.
    pub fn state(&self) -> EventState {
        let Self { number, event, room, protocol, peer, sub, jti, at_unix_ms } = self.clone();
        EventState {
            number,
            is_publisher: matches!(event, EventKind::Publish | EventKind::Unpublish),
            is_end: matches!(event, EventKind::Unpublish | EventKind::Stop),
            room,
            protocol: protocol.into(),
            peer,
            subject: sub,
            token_id: jti,
            at_unix_ms,
        }
    }

    /// The report of the last program.
    pub fn restore(state: EventState) -> Self {
        let action = if state.is_publisher { Action::Publish } else { Action::Play };
        Self {
            number: state.number,
            event: if state.is_end { EventKind::ended(action) } else { EventKind::begun(action) },
            room: state.room,
            protocol: state.protocol.into(),
            peer: state.peer,
            sub: state.subject,
            jti: state.token_id,
            at_unix_ms: state.at_unix_ms,
        }
    }

    /// The number of the next report of this process.
    pub fn next_number() -> u64 {
        NEXT.load(Ordering::Relaxed)
    }

    /// Goes on with the numbers of the program that ran in this process before.
    pub fn resume_numbers(next_number: u64) {
        NEXT.fetch_max(next_number, Ordering::Relaxed);
    }
}

fn by_name<S: Serializer>(protocol: &Protocol, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(protocol.as_str())
}

impl From<Protocol> for ProtocolState {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Rtmp => Self::Rtmp,
            Protocol::HttpFlv => Self::HttpFlv,
            Protocol::Hls => Self::Hls,
            Protocol::WebRtc => Self::WebRtc,
            Protocol::Api => Self::Api,
        }
    }
}

impl From<ProtocolState> for Protocol {
    fn from(state: ProtocolState) -> Self {
        match state {
            ProtocolState::Rtmp => Self::Rtmp,
            ProtocolState::HttpFlv => Self::HttpFlv,
            ProtocolState::Hls => Self::Hls,
            ProtocolState::WebRtc => Self::WebRtc,
            ProtocolState::Api => Self::Api,
        }
    }
}
