//! The publisher of before an upgrade in place.

use crate::events::PublisherProfile;

/// A publisher that a restored stream waits for.
pub(super) struct Resumable {
    pub publisher: u64,
    pub epoch: u64,
    pub profile: PublisherProfile,
    pub is_asked_to_move: bool,
}
