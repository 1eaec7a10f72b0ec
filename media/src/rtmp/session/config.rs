//! Settings and limits of a session.

use crate::rtmp::chunk_reader::ChunkLimits;

/// Maximum commands of a peer before its publish or play is accepted. Encoders send fewer than ten.
pub const COMMANDS_MAX: u32 = 1000;

/// Settings of a session.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The only app that is served.
    pub app: String,
    /// The window that is asked of the peer and, until it names its own, used for it, in bytes.
    pub window_ack_size_bytes: u32,
    /// The longest media message, in bytes. Twice that may be in partial messages.
    pub message_limit_bytes: usize,
    /// The longest command, in bytes.
    pub command_limit_bytes: usize,
    /// Refuses every connect, with this description.
    pub refuses_connect: Option<String>,
}

impl SessionConfig {
    pub(super) fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits {
            message_limit_bytes: self.message_limit_bytes,
            command_limit_bytes: self.command_limit_bytes,
            in_flight_limit_bytes: self.message_limit_bytes.saturating_mul(2),
            ..ChunkLimits::default()
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        let ChunkLimits { message_limit_bytes, command_limit_bytes, .. } = ChunkLimits::default();
        let app = "live".to_owned();
        Self {
            app,
            window_ack_size_bytes: 2_500_000,
            message_limit_bytes,
            command_limit_bytes,
            refuses_connect: None,
        }
    }
}
