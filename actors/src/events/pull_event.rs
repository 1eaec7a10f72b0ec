//! What a puller sends to the stream that it feeds.

use actix::Message;
use synctv_media::stream::frame::Frame;

use super::ids::PullerId;

/// What a puller tells its stream. The answer is awaited before anything more is read from the origin.
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
    Media {
        frames: Vec<Frame>,
        /// They do not continue what came before.
        after_hole: bool,
    },
    /// The connection broke. The publication may go on, there or elsewhere.
    Broken,
    /// The publication is over: nobody has the room, or someone else has.
    Over,
}

/// The stream has no use for the puller any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dismissed;
