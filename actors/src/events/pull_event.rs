//! Events of a puller for the stream that it feeds.

use actix::Message;
use synctv_media::stream::frame::Frame;

use super::ids::PullerId;

/// An event of a puller. The stream's answer is awaited before anything more is read from the origin.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Dismissed>")]
pub(crate) struct FromOrigin {
    pub(crate) puller: PullerId,
    pub(crate) update: Update,
}

#[derive(Debug)]
pub(crate) enum Update {
    /// The origin answered; its media follows.
    Connected { node: String },
    /// The connection of before an upgrade goes on.
    Resumed,
    Media {
        frames: Vec<Frame>,
        /// They do not continue what came before.
        after_hole: bool,
    },
    /// The connection broke. The publication may go on, there or elsewhere.
    Broken,
    /// The publication is over: the room is free, or another node's.
    Over,
}

/// The stream has no use for the puller any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dismissed;
