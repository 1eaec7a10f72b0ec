//! The messages that a stream takes, and the right to send it media.

use std::time::Duration;

use actix::{Message, Recipient, prelude::SendError};
use synctv_media::{
    cluster::standing::NodeUrl,
    stream::{frame::Frame, gop::ParkedCache},
};
use thiserror::Error;
use tokio::time::Instant;

use super::stats::StreamStats;
use crate::{
    cluster::{origin::Origin, store::ClaimError},
    events::{
        Evicted, LeaveWindow, PublisherEvent, PublisherId, PublisherProfile, StreamEvent, SubscriberId,
        SubscriberRole, ViewerId,
    },
    metrics::PublishOutcome,
    upgrade::{lot::ParkingLot, states::ParkedStreamState},
};

#[derive(Message)]
#[rtype(result = "Result<Publication, PublishError>")]
pub(crate) struct Attach {
    pub profile: PublisherProfile,
    pub events: Recipient<PublisherEvent>,
}

#[derive(Message)]
#[rtype(result = "Result<(), Evicted>")]
pub(crate) struct Media {
    pub publisher: PublisherId,
    pub frames: Vec<Frame>,
    /// The time at which the last of them was read.
    pub received: Instant,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Detach(pub PublisherId);

/// Another node publishes the room. A stream that is fed already goes on as it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Follow(pub Origin);

/// The node drains: its publisher is to publish elsewhere, and the room is kept for it there for `handover`. One that takes
/// requests is asked to go to `next_node`. The answer comes when the publisher was disconnected, after `wait_max` at the latest.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct MovePublisher {
    pub handover: Duration,
    pub wait_max: Duration,
    pub next_node: Option<NodeUrl>,
}

/// The node drains: viewers leave it within this time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct MoveViewers(pub LeaveWindow);

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Join {
    pub subscriber: SubscriberId,
    pub role: SubscriberRole,
    pub viewer: ViewerId,
    pub recipient: Recipient<StreamEvent>,
}

/// Viewers that have been sent media before an upgrade get what comes next.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rejoin {
    pub subscriber: SubscriberId,
    pub role: SubscriberRole,
    pub recipient: Recipient<StreamEvent>,
}

/// The node is upgraded in place: the stream stops where it is, and keeps its claim. To be sent when its publisher has
/// parked, and before its viewers do. The answer's state has no cached media: the directory chooses from all caches.
#[derive(Message)]
#[rtype(result = "Option<(ParkedStreamState, ParkedCache)>")]
pub(crate) struct ParkStream(pub ParkingLot);

/// The publisher of before the upgrade goes on, if it still has the room.
#[derive(Message)]
#[rtype(result = "Option<Publication>")]
pub(crate) struct ResumePublisher {
    pub publisher: PublisherId,
    pub events: Recipient<PublisherEvent>,
}

/// All viewers of before the upgrade are there, and the publisher if it will ever be: media that comes from here on reaches
/// them.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EndRestoring;

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Leave(pub SubscriberId);

#[derive(Message)]
#[rtype(result = "StreamStats")]
pub(crate) struct GetStats;

/// The reason a publisher was not attached to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublishError {
    /// Someone publishes this room, here or on another node.
    #[error("someone publishes this room")]
    Busy,
    /// The registry did not grant the room.
    #[error(transparent)]
    Registry(ClaimError),
    /// The node has as many rooms as it may.
    #[error("room limit reached ({max})")]
    RoomLimit {
        /// The limit.
        max: usize,
    },
    /// Publishers of the same address left as many rooms as may wait for them.
    #[error("limit of rooms that wait for publishers of this address reached ({max})")]
    LeftRooms {
        /// The limit.
        max: usize,
    },
    /// The stream ended while the publisher came.
    #[error("the stream just ended")]
    Ended,
    /// The node takes no new publishers and viewers.
    #[error("node is draining, retry")]
    Draining,
    /// Nothing is known of the node's rooms until its process is started again.
    #[error("this node's directory of streams has ended")]
    DirectoryEnded,
}

impl PublishError {
    /// Returns the outcome that a request to publish ends with for this reason.
    pub(crate) fn outcome(&self) -> PublishOutcome {
        match self {
            Self::Busy => PublishOutcome::Busy,
            Self::Registry(_) => PublishOutcome::Registry,
            Self::RoomLimit { .. } | Self::LeftRooms { .. } => PublishOutcome::Limit,
            Self::Draining => PublishOutcome::Draining,
            Self::Ended | Self::DirectoryEnded => PublishOutcome::Error,
        }
    }
}

impl From<ClaimError> for PublishError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken { .. } => PublishError::Busy,
            ClaimError::Unavailable { .. } => PublishError::Registry(error),
        }
    }
}

/// The reason a stream did not take frames.
#[derive(Debug)]
pub enum Refused {
    /// It has too much to do. The frames are still to be sent, before any other.
    Busy(Vec<Frame>),
    /// It has ended.
    Gone,
}

/// The right to feed a stream. Dropping it lets the next publisher in, also if it is dropped in an answer whose requester
/// has ended.
#[derive(Debug)]
pub struct Publication {
    media: Recipient<Media>,
    /// None once the right was parked.
    detach: Option<Recipient<Detach>>,
    publisher: PublisherId,
}

impl Publication {
    /// Makes the right of `publisher` to feed the stream at `media` and `detach`.
    pub(crate) fn new(media: Recipient<Media>, detach: Recipient<Detach>, publisher: PublisherId) -> Self {
        Self { media, detach: Some(detach), publisher }
    }

    /// Keeps the publisher's place for the next program of this process, in which it goes on under the same number.
    pub(crate) fn park(mut self) -> PublisherId {
        self.detach = None;
        self.publisher
    }

    /// Feeds the stream with frames that were read at `received`, if it follows.
    pub fn try_send(&self, frames: Vec<Frame>, received: Instant) -> Result<(), Refused> {
        let media = Media { publisher: self.publisher, frames, received };
        self.media.try_send(media).map_err(|refused| match refused {
            SendError::Full(media) => Refused::Busy(media.frames),
            SendError::Closed(_) => Refused::Gone,
        })
    }

    /// Feeds the stream as soon as it follows. Await the answer before reading more of the publisher, so that TCP slows
    /// it down. An error means that the room is no longer this publisher's, or that the stream has ended.
    pub fn send(&self, frames: Vec<Frame>) -> impl Future<Output = Result<(), Evicted>> + 'static {
        self.send_received(frames, Instant::now())
    }

    /// Like [`send`](Self::send), of frames that were read at `received`.
    pub fn send_received(
        &self,
        frames: Vec<Frame>,
        received: Instant,
    ) -> impl Future<Output = Result<(), Evicted>> + 'static {
        let taken = self.media.send(Media { publisher: self.publisher, frames, received });
        async move { taken.await.unwrap_or(Err(Evicted::StreamGone)) }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if let Some(detach) = &self.detach {
            detach.do_send(Detach(self.publisher));
        }
    }
}
