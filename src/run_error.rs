//! Reasons why the server does not start, or stops.

use std::io;

use synctv_actors::{access::RandomError, cluster::redis_store::JoinError};
use thiserror::Error;

/// Why the server did not start, or stopped.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("{setting}={addr}: {source}")]
    Listen {
        /// The setting's name.
        setting: &'static str,
        /// The address.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster could not be joined.
    #[error("REDIS_URL: {0}")]
    Unreachable(JoinError),
    /// Another process has this one's name.
    #[error(transparent)]
    NameInUse(JoinError),
    /// Secrets need random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The threads that serve could not be started or ended badly.
    #[error("the server stopped: {0}")]
    Server(io::Error),
}
