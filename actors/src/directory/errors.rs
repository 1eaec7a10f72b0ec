//! Reasons for which there is no stream.

use synctv_media::stream::room::RoomName;
use thiserror::Error;

use crate::{cluster::store::StoreError, metrics::JoinOutcome};

/// The directory has ended, which only a panic causes. Its node knows none of its rooms until the process is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this node's directory of streams has ended")]
pub struct DirectoryEnded;

/// The reason there is no stream for a viewer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// No node publishes the room.
    #[error("room {0} has no publisher")]
    NotLive(RoomName),
    /// The room is not on this node, and the registry cannot say where it is. Its reason is for the log: it may name
    /// addresses.
    #[error("the registry does not answer")]
    Registry(#[source] StoreError),
    /// The node that publishes the room cannot be reached.
    #[error("the room is published through node {node}, which does not answer")]
    OriginSilent {
        /// The node.
        node: String,
    },
    /// The room would be one more than this node may have.
    #[error("room limit reached ({max})")]
    RoomLimit {
        /// The limit.
        max: usize,
    },
    /// The node takes no new publishers and viewers.
    #[error("node is draining, retry")]
    Draining,
    /// The node does not know its rooms any more.
    #[error(transparent)]
    Directory(#[from] DirectoryEnded),
}

impl OpenError {
    /// Returns the outcome that a request to watch ends with for this reason.
    pub fn outcome(&self) -> JoinOutcome {
        match self {
            Self::NotLive(_) => JoinOutcome::NotLive,
            Self::Registry(_) => JoinOutcome::Registry,
            Self::OriginSilent { .. } => JoinOutcome::Origin,
            Self::RoomLimit { .. } => JoinOutcome::Limit,
            Self::Draining => JoinOutcome::Draining,
            Self::Directory(_) => JoinOutcome::Error,
        }
    }
}
