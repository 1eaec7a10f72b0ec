//! Rooms whose segments could not be written: one log line when that begins, one when it ends.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};

use log::{info, warn};
use synctv_media::stream::room::RoomName;

use crate::metrics::Counter;

/// An outage is over when so many segments in a row could be written: on a disk that is almost full, small ones still
/// can be now and then.
const RECOVERED_AFTER: u32 = 5;

/// Rooms with an outage, and how many segments have been written since a failure.
#[derive(Debug, Default)]
pub(super) struct Outages {
    rooms: Mutex<HashMap<RoomName, u32>>,
    failures: Counter,
}

impl Outages {
    /// Counts the segments that could not be written.
    pub fn failures(&self) -> &Counter {
        &self.failures
    }

    pub fn failed(&self, room: &RoomName, reason: &dyn Display) {
        self.failures.inc();
        if self.rooms().insert(room.clone(), 0).is_none() {
            warn!(room = room.as_str(), reason:% = reason;
                "segments cannot be written to HLS_STORAGE: they are served from memory");
        }
    }

    pub fn written(&self, room: &RoomName) {
        let mut rooms = self.rooms();
        let Some(written) = rooms.get_mut(room) else {
            return;
        };
        *written += 1;
        if *written >= RECOVERED_AFTER {
            rooms.remove(room);
            info!(room = room.as_str(); "segments are written to HLS_STORAGE again");
        }
    }

    /// The room is over.
    pub fn forget(&self, room: &RoomName) {
        self.rooms().remove(room);
    }

    /// Returns true while segments of the room cannot be written.
    #[cfg(test)]
    pub fn is_out(&self, room: &RoomName) -> bool {
        self.rooms().contains_key(room)
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, u32>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_until_several_segments_in_a_row_were_written() {
        let (outages, room) = (Outages::default(), RoomName::new("r").unwrap());
        outages.written(&room);
        assert!(outages.rooms().is_empty());
        outages.failed(&room, &"full");
        (1..RECOVERED_AFTER).for_each(|_| outages.written(&room));
        outages.failed(&room, &"full");
        (1..RECOVERED_AFTER).for_each(|_| outages.written(&room));
        assert_eq!(outages.rooms().len(), 1);
        outages.written(&room);
        assert!(outages.rooms().is_empty());
    }
}
