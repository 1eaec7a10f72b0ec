//! Which nodes rooms were fetched from, and which of those nodes do not answer.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use super::{Answer, HlsResource, Outcome};
use crate::cluster::origin::Origin;

/// How long a node that no longer has the claim on a room is asked for it, counted from its last good answer. The claim
/// goes with the publisher, but the playlist stays for a grace and, with its end, for a while longer.
const LAST_ORIGIN_MAX: Duration = Duration::from_secs(60);

/// Rooms of which the last node is remembered. It is not for further ones, which end a little early then.
const ROOMS_MAX: usize = 4096;

/// Nodes that do not answer and of which that has been said.
const LOST_MAX: usize = 1024;

/// What the HLS proxy knows about nodes.
#[derive(Debug, Default)]
pub(super) struct Origins {
    last: HashMap<RoomName, Last>,
    lost: HashSet<String>,
}

#[derive(Debug)]
struct Last {
    origin: Origin,
    until: Instant,
}

impl Origins {
    /// The node that had the room, for when the registry names none.
    pub fn last(&self, room: &RoomName, now: Instant) -> Option<Origin> {
        self.last.get(room).filter(|last| last.until > now).map(|last| last.origin.clone())
    }

    /// `origin` was asked for `asset`.
    pub fn note(&mut self, resource: &HlsResource, origin: &Origin, outcome: &Outcome, now: Instant) {
        let room = resource.room();
        match (resource, outcome) {
            (_, Ok(Answer::Playlist(_) | Answer::Segment(_))) => {
                if self.last.len() < ROOMS_MAX || self.last.contains_key(room) {
                    let last = Last { origin: origin.clone(), until: now + LAST_ORIGIN_MAX };
                    self.last.insert(room.clone(), last);
                }
            }
            // The playlist is gone there.
            (HlsResource::Playlist { .. }, Ok(_)) => {
                self.last.remove(room);
            }
            (_, _) => {}
        }
    }

    /// The room is on this node now.
    pub fn forget(&mut self, room: &RoomName) {
        self.last.remove(room);
    }

    /// Whether it is news that `node` does not answer.
    pub fn lost(&mut self, node: &str) -> bool {
        self.lost.len() < LOST_MAX && self.lost.insert(node.to_owned())
    }

    /// Whether it is news that `node` answers.
    pub fn found(&mut self, node: &str) -> bool {
        self.lost.remove(node)
    }

    /// Forgets what is too old to be used.
    pub fn sweep(&mut self, now: Instant) {
        self.last.retain(|_, last| last.until > now);
    }
}
