//! Settings of the HTTP ports.

use std::time::Duration;

use super::proxies::TrustedProxies;

/// Time that a connection may wait for its next request. Balancers keep theirs for 60 s, and a server that closes first
/// closes upon a request now and then.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Settings of an HTTP port.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The app in addresses: `/APP/ROOM.flv` is `/ROOM.flv`, and playlists are at `/APP/ROOM/index.m3u8`.
    pub app: String,
    /// Time limit for the head of a request.
    pub head_timeout: Duration,
    /// Time limit for a client that accepts nothing of an answer.
    pub stall_timeout: Duration,
    /// The proxies whose word for their clients counts.
    pub proxies: TrustedProxies,
}
