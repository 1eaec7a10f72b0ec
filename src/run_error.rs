//! Reasons why the server does not start, or stops.

use std::{io, path::PathBuf};

use synctv_actors::{access::RandomError, cluster::redis_store::JoinError};
use synctv_media::upgrade::StateError;
use thiserror::Error;

use crate::tls::TlsError;

/// The reason the server did not start, or stopped.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("{setting}={addr}: {source}")]
    Listen {
        /// The setting's name.
        setting: &'static str,
        /// The address.
        addr: std::net::SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The sockets of the upgraded server are not there.
    #[error("the upgraded server's sockets cannot be used: {0}")]
    State(StateError),
    /// The cluster could not be joined.
    #[error("REDIS_URL: {0}")]
    Unreachable(JoinError),
    /// Another process has this one's name.
    #[error(transparent)]
    NameInUse(JoinError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Secrets need random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Segments can never be written to their directory.
    #[error("HLS_STORAGE={}: {source}", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The threads that serve could not be started.
    #[error("WORKERS={workers}: not all threads could be started: {reason}")]
    Workers {
        /// The number that was asked for.
        workers: usize,
        /// The system's error, or the panic message of the framework.
        reason: String,
    },
    /// The threads that serve ended badly.
    #[error("the server stopped: {0}")]
    Server(io::Error),
}
