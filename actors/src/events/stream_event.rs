//! Events of a stream for its subscribers.

use std::fmt;

use actix::Message;
use synctv_media::stream::{batch::Batches, gop::JoinPoint, room::RoomName};
use tokio::time::Instant;

use super::{
    ids::{StreamId, ViewerId},
    leave_window::LeaveWindow,
};
use crate::cluster::registry::numbers::NumberReserve;

/// Maximum number of events in a subscriber's mailbox. A subscriber that falls further behind loses batches up to
/// the next keyframe, and the next event reports the loss.
pub const MAILBOX_MAX: usize = 256;

/// The source of a stream's media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A publisher of this node.
    Local,
    /// The node of its publisher.
    Remote,
}

/// The state of a stream, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// It has had no media yet: no viewer is to wait for it.
    Starting,
    /// It is fed.
    Live(Source),
    /// It was fed, and waits out its grace.
    Waiting,
}

/// The purpose of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriberRole {
    /// Serves viewers. Another node's media is pulled for them.
    Viewers,
    /// Cuts what is published on this node.
    Segmenter,
}

/// One message from a stream to a subscriber. A subscriber gets them in the order in which they were sent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum StreamEvent {
    /// The stream goes on.
    Media {
        /// The next media.
        batches: Batches,
        /// Media before it did not fit the mailbox. It starts where decoding can.
        after_gap: bool,
        /// The time at which the newest of it was read from its publisher.
        received: Instant,
    },
    /// The media that a new viewer starts with; the media after it comes as [`StreamEvent::Media`].
    Join {
        /// The viewer that asked.
        viewer: ViewerId,
        /// Cached media and its headers.
        point: JoinPoint,
    },
    /// A publisher has the room from here on, on this node or on another one. Its media need not continue what came
    /// before.
    PublisherCame(Arrival),
    /// The publisher is disconnected. Another one may come within the grace.
    PublisherLeft,
    /// The node drains: viewers are to leave it within this time.
    LeaveWithin(LeaveWindow),
    /// The stream is over.
    End(EndReason),
}

/// The place of a stream's new publisher.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// On this node. HLS of the room goes on with these numbers.
    Local(NumberReserve),
    /// On another node.
    Remote,
}

/// The reason a stream is over for its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its publisher left, and none came in its place within the grace.
    PublisherLeft,
    /// The node drains, and the stream goes on elsewhere.
    NodeDraining,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::PublisherLeft => f.write_str("the publisher left"),
            EndReason::NodeDraining => f.write_str("node is draining, retry"),
        }
    }
}

/// A stream reports its end to the directory.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct StreamEnded {
    pub(crate) room: RoomName,
    pub(crate) id: StreamId,
}
