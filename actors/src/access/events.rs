//! Reports of who publishes and who watches, for a service that wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use synctv_media::access::Action;

use super::about::About;
use crate::clock::unix_ms;

/// What happened.
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

/// One report. It may arrive more than once: `id` tells one from another, and `number` grows within a node, so that the
/// newest of a room is known.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    /// Of this process; the agent puts the process in front.
    pub number: u64,
    pub event: EventKind,
    pub room: String,
    pub protocol: &'static str,
    pub peer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    pub at_unix_ms: u64,
}

impl Event {
    pub fn new(event: EventKind, about: &About) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            event,
            room: about.room.to_string(),
            protocol: about.protocol.as_str(),
            peer: about.peer.to_string(),
            sub: about.subject.clone(),
            jti: about.token_id.clone(),
            at_unix_ms: unix_ms(),
        }
    }
}
