//! The messages that the directory takes.

use actix::Message;
use synctv_media::{access::AddressKey, stream::room::RoomName};

use super::errors::OpenError;
use crate::{
    cluster::origin::Origin,
    events::StreamId,
    stream::{PublishError, StreamHandle},
    thread::ActorThread,
    upgrade::{error::RestoreError, lot::Parked, states::ParkedStreamState},
};

/// An announcement of what is about to happen to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Notice {
    /// Nothing.
    #[default]
    None,
    /// It is upgraded in place: connections that cannot be handed over are closed behind the answer that they get.
    Upgrade,
    /// It drains.
    Drain,
}

/// The node's readiness for new publishers and viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryPhase {
    /// It does.
    Open,
    /// It stops: present viewers stay for a while, new ones are refused.
    Draining,
}

#[derive(Message)]
#[rtype(result = "Result<StreamHandle, PublishError>")]
pub(super) struct OpenForPublisher {
    pub room: RoomName,
    /// The publisher's, if it is known.
    pub address: Option<AddressKey>,
    pub thread: ActorThread,
}

#[derive(Message)]
#[rtype(result = "Result<StreamHandle, OpenError>")]
pub(super) struct ForPull {
    pub room: RoomName,
    pub thread: ActorThread,
    pub origin: Origin,
}

#[derive(Message)]
#[rtype(result = "Option<StreamHandle>")]
pub(super) struct Find(pub RoomName);

#[derive(Message)]
#[rtype(result = "Vec<StreamHandle>")]
pub(super) struct Streams;

#[derive(Message)]
#[rtype(result = "DirectoryPhase")]
pub(super) struct AskPhase;

#[derive(Message)]
#[rtype(result = "Vec<StreamHandle>")]
pub(super) struct AllStreams;

/// The stream of a room, also while newcomers are refused.
#[derive(Message)]
#[rtype(result = "Option<StreamHandle>")]
pub(super) struct FindPublished(pub RoomName);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Close;

/// A stream of before an upgrade goes on, on `thread`.
#[derive(Message)]
#[rtype(result = "Result<StreamHandle, RestoreError>")]
pub(super) struct RestoreStream {
    pub id: StreamId,
    pub stream: ParkedStreamState,
    pub parked: Parked,
    pub thread: ActorThread,
}
