//! The facts about a session.

use std::net::SocketAddr;

use synctv_media::{access::Action, stream::room::RoomName};

use super::request::Protocol;

/// What is known of a session when it is granted.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub action: Action,
    pub room: RoomName,
    pub protocol: Protocol,
    pub peer: SocketAddr,
    pub subject: Option<String>,
    pub token_id: Option<String>,
    pub ends_unix_s: Option<u64>,
    /// A name under which sessions are counted, and how many there may be.
    pub limit: Option<(String, u32)>,
}
