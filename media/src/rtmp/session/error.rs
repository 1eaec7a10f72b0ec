//! The errors that end a session.

use thiserror::Error;

use super::{config::COMMANDS_MAX, phase::Phase};
use crate::{
    rtmp::{chunk_reader::ChunkError, handshake::HandshakeError},
    stream::room::RoomNameError,
};

/// The reason the connection has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// No RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The chunks cannot be followed.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// No connect is accepted here.
    #[error("{0}")]
    ConnectRefused(String),
    /// The app is not the one this server serves.
    #[error("the app {app:?} is not served here, only {served:?}: rtmp://HOST/{served}/ROOM")]
    App {
        /// The requested stream name, without its query, and cut if it is long.
        app: String,
        /// The app of this server.
        served: String,
    },
    /// The stream name is no room name.
    #[error("the stream name {stream_name:?} is no room: {reason}")]
    Room {
        /// The requested stream name, without its query, and cut if it is long.
        stream_name: String,
        /// The rule that it breaks.
        reason: RoomNameError,
    },
    /// A command that makes no sense now.
    #[error("{command} came while the connection was {phase}")]
    OutOfOrder {
        /// Its name.
        command: &'static str,
        /// The moment at which it came.
        phase: Phase,
    },
    /// More than [`COMMANDS_MAX`].
    #[error("more than {COMMANDS_MAX} commands came without a publish or play")]
    TooManyCommands,
    /// The replies pile up.
    #[error("the peer does not read its replies")]
    OutputFull,
    /// Fed after an error or a refusal.
    #[error("the connection is closed")]
    Closed,
}
