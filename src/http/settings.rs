//! Settings of the HTTP ports.

use std::time::Duration;

/// What the HTTP port needs to know.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `/APP/ROOM.flv` is `/ROOM.flv`.
    pub app: String,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Duration,
}
