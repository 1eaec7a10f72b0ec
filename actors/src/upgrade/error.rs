//! The reason a part could not be restored.

use std::io;

use synctv_media::upgrade::StateError;
use thiserror::Error;

/// The reason a part could not be restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Its state is none.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its connection cannot be used.
    #[error("the connection cannot be used: {0}")]
    Connection(#[from] io::Error),
    /// The thread that was to serve it has ended.
    #[error("its thread has ended")]
    ThreadEnded,
    /// The node has no place for it.
    #[error("MAX_CONNECTIONS is lower than before")]
    NoPlace,
}
