//! The limit of connections, for each port.

use synctv_actors::connection_limit::ConnectionLimit;

/// The limit of connections, for each port.
pub(crate) struct PortLimits {
    pub(super) rtmp: ConnectionLimit,
    pub(super) httpflv: ConnectionLimit,
    pub(super) hls: ConnectionLimit,
    pub tls: ConnectionLimit,
    pub(super) hls_tls: ConnectionLimit,
}
