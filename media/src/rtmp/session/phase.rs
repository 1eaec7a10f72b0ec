//! The phases of a connection.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// C0, C1 and C2 are expected.
    Handshake,
    /// The connect command is expected.
    Connecting,
    /// Connected; neither publishing nor playing.
    Idle,
    /// Asked to publish; not answered.
    PublishPending,
    /// Publishing.
    Publishing,
    /// Asked to play; not answered.
    PlayPending,
    /// Playing.
    Playing,
    /// Playing, but no media is wanted for now.
    Paused,
    /// Refused or failed: what is left is to send the output and close.
    Closed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Handshake => "in the handshake",
            Phase::Connecting => "not connected",
            Phase::Idle => "idle",
            Phase::PublishPending => "about to publish",
            Phase::Publishing => "publishing",
            Phase::PlayPending => "about to play",
            Phase::Playing => "playing",
            Phase::Paused => "paused",
            Phase::Closed => "closed",
        })
    }
}
