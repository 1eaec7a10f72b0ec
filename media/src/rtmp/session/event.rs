//! The events of a session, and the answers of its owner that need a reason.

use super::request::StreamRequest;
use crate::{rtmp::command::CommandError, stream::frame::Frame};

/// Events of the peer, for the owner of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It asks to publish.
    Publish(StreamRequest),
    /// It asks to play.
    Play(StreamRequest),
    /// It sent media. Comes only after [`Event::Publish`], perhaps before that is answered.
    Frame(Frame),
    /// It ended its publish, or took back its request to.
    Unpublish,
    /// It ended its play, or took back its request to.
    Stop,
    /// It wants no media for now.
    Pause,
    /// It wants media again, from where the stream is.
    Resume,
    /// It sent a command that cannot be read, or not to its end. Reported once a connection.
    Unreadable(CommandError),
}

/// The reason a publish or play is not allowed. The description is shown to the peer's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Someone else publishes this room.
    BadName {
        /// In a sentence.
        description: String,
    },
    /// Not allowed, or not possible now.
    Denied {
        /// In a sentence.
        description: String,
    },
    /// The room to play has no publisher.
    StreamNotFound {
        /// In a sentence.
        description: String,
    },
}
