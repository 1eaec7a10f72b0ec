//! The nodes that rooms were fetched from, and those of them that do not answer.

use std::{collections::HashSet, time::Duration};

use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use super::{Answer, HlsResource, Outcome};
use crate::{bounded_cache::BoundedCache, cluster::origin::Origin};

/// Time that a node without a claim on a room is still asked for it, counted from its last good answer. The claim ends
/// with the publisher, but the playlist stays for a grace and, with its end, for a while longer.
const LAST_ORIGIN_MAX: Duration = Duration::from_secs(60);

/// Maximum rooms whose last node is remembered. The playlists of further rooms end a little early.
const ROOMS_MAX: usize = 4096;

/// Maximum nodes that do not answer and whose failure was logged.
const LOST_MAX: usize = 1024;

/// The HLS proxy's knowledge about nodes.
#[derive(Debug)]
pub(super) struct Origins {
    last: BoundedCache<RoomName, Last>,
    lost: HashSet<String>,
}

#[derive(Debug)]
struct Last {
    origin: Origin,
    until: Instant,
}

impl Default for Origins {
    fn default() -> Self {
        Self { last: BoundedCache::new(ROOMS_MAX), lost: HashSet::new() }
    }
}

impl Origins {
    /// The node that had the room, for when the registry names none.
    pub fn last(&self, room: &RoomName, now: Instant) -> Option<Origin> {
        self.last.get(room).filter(|last| last.until > now).map(|last| last.origin.clone())
    }

    /// `origin` was asked for `resource`, with this outcome.
    pub fn note(&mut self, resource: &HlsResource, origin: &Origin, outcome: &Outcome, now: Instant) {
        let room = resource.room();
        match (resource, outcome) {
            (_, Ok(Answer::Playlist(_) | Answer::Segment(_))) => {
                let last = Last { origin: origin.clone(), until: now + LAST_ORIGIN_MAX };
                self.last.insert(room.clone(), last);
            }
            // The playlist has expired there.
            (HlsResource::Playlist { .. }, Ok(_)) => {
                self.last.remove(room);
            }
            (_, _) => {}
        }
    }

    /// The number of rooms whose last node is remembered.
    pub fn count(&self) -> usize {
        self.last.len()
    }

    /// The room is on this node now.
    pub fn forget(&mut self, room: &RoomName) {
        self.last.remove(room);
    }

    /// Returns whether it is news that `node` does not answer.
    pub fn lost(&mut self, node: &str) -> bool {
        self.lost.len() < LOST_MAX && self.lost.insert(node.to_owned())
    }

    /// Returns whether it is news that `node` answers.
    pub fn found(&mut self, node: &str) -> bool {
        self.lost.remove(node)
    }

    /// Forgets what is too old to be used.
    pub fn sweep(&mut self, now: Instant) {
        self.last.retain(|last| last.until > now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        cluster::origin::NodeAddresses,
        hls::{PlaylistText, proxy::PlaylistAddress},
        testing::room,
    };

    fn playlist(room: RoomName) -> HlsResource {
        HlsResource::Playlist { room, address: PlaylistAddress::Index, request: None }
    }

    #[test]
    fn rooms_and_nodes_are_remembered_up_to_a_number_and_for_a_time() {
        let (mut origins, now) = (Origins::default(), Instant::now());
        let addresses = NodeAddresses { rtmp: String::new(), httpflv: String::new(), hls: None };
        let origin = Origin { node: "n2".to_owned(), epoch: 1, addresses };
        let found: Outcome = Ok(Answer::Playlist(Arc::new(PlaylistText::new(Bytes::new(), "1".to_owned()))));
        for at in 0..ROOMS_MAX + 10 {
            origins.note(&playlist(room(&format!("r{at}"))), &origin, &found, now);
        }
        assert_eq!(origins.last.len(), ROOMS_MAX);
        assert_eq!(origins.last(&room("r0"), now), Some(origin.clone()));
        let later = now + LAST_ORIGIN_MAX;
        origins.note(&playlist(room("r0")), &origin, &found, later);
        origins.sweep(later);
        assert_eq!(origins.last.len(), 1, "the one that was found again");
        assert_eq!((0..LOST_MAX + 10).filter(|at| origins.lost(&format!("n{at}"))).count(), LOST_MAX);
        assert!(!origins.lost("n0") && origins.found("n0") && origins.lost("n0"));
    }
}
