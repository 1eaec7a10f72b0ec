//! The settings that RTMP connections share, and the state that each begins with.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use synctv_media::rtmp::session::SessionConfig;

use super::{admission::Admission, connections::RtmpConnections};
use crate::{access::Gatekeeper, directory::StreamDirectory, viewers::ViewerPool, wire::Wire};

/// Settings that all RTMP connections share.
#[derive(Debug, Clone)]
pub struct RtmpSettings {
    /// The protocol's own settings.
    pub session: Arc<SessionConfig>,
    /// Time limit for a handshake.
    pub handshake_timeout: Duration,
    /// Time limit for a connection that neither publishes nor plays.
    pub idle_timeout: Duration,
    /// Time limit for a silent publisher. It is pinged halfway.
    pub publisher_timeout: Duration,
    /// The address of the TLS port, for the log of a client that used this port for TLS.
    pub tls_elsewhere: String,
}

/// The parts of the node that an RTMP port's connections use.
#[derive(Clone)]
pub struct RtmpServices {
    /// The rooms.
    pub directory: StreamDirectory,
    /// Decides who may publish and play.
    pub gatekeeper: Gatekeeper,
    /// Serves players.
    pub viewer_pool: ViewerPool,
    /// The publishers among them.
    pub connections: RtmpConnections,
    /// Their settings.
    pub settings: Arc<RtmpSettings>,
}

/// A connection that was just accepted.
#[derive(Debug)]
pub struct NewConnection {
    /// The connection itself.
    pub wire: Wire,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Counts the connection until it ends.
    pub admission: Admission,
}
