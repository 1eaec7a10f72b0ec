//! Events of a stream for its publisher.

use std::fmt;

use actix::Message;
use synctv_media::cluster::standing::NodeUrl;

/// One message from a stream to its publisher.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum PublisherEvent {
    /// The publisher no longer has its room.
    Evicted(Evicted),
    /// The publisher is to publish on a new connection, to another node, and then to leave this one.
    Reconnect {
        /// The node's address; without one, its own leads there.
        to: Option<NodeUrl>,
    },
    /// The first live viewer came: what the publisher sends should come through at once.
    ViewersCame,
    /// The last live viewer left. Others may watch over HLS, seconds behind.
    ViewersLeft,
}

/// The reason a publisher no longer has its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evicted {
    /// Another publisher has it.
    TakenOver,
    /// The node stops.
    Draining,
    /// The stream broke.
    StreamGone,
}

impl fmt::Display for Evicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evicted::TakenOver => "the room was taken over by another publisher",
            Evicted::Draining => "node is draining, retry",
            Evicted::StreamGone => "the stream broke: connect again",
        })
    }
}
