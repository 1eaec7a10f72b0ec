//! A publisher that takes a room over while its frames still come through another node.

use actix::SpawnHandle;
use synctv_media::stream::held_frames::HeldFrames;

use crate::cluster::puller::PullerHandle;

/// Both sides of the change, until it is made: at the new publisher's first keyframe, once the last frames of the old
/// publication have come.
pub(super) struct Succession {
    /// Feeds the stream meanwhile.
    pub predecessor: PullerHandle,
    /// The frames that the new publisher has sent.
    pub held: HeldFrames,
    /// Ends the wait for the last frames of the old publication.
    pub due: Option<SpawnHandle>,
}

impl Succession {
    /// Of the publication that `predecessor` pulls.
    pub fn of(predecessor: PullerHandle) -> Self {
        Self { predecessor, held: HeldFrames::default(), due: None }
    }
}
