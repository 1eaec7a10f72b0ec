//! Which rooms have segments that could not be written: one line when that begins, one when it ends.

use std::{
    collections::HashSet,
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};

use log::{info, warn};
use synctv_media::room::RoomName;

#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<HashSet<RoomName>>);

impl Outages {
    pub fn failed(&self, room: &RoomName, reason: &dyn Display) {
        if self.rooms().insert(room.clone()) {
            warn!(room = room.as_str(), reason:% = reason;
                "segments cannot be written to HLS_STORAGE: they are served from memory");
        }
    }

    pub fn ended(&self, room: &RoomName) {
        if self.rooms().remove(room) {
            info!(room = room.as_str(); "segments are written to HLS_STORAGE again");
        }
    }

    /// The room is over.
    pub fn forget(&self, room: &RoomName) {
        self.rooms().remove(room);
    }

    fn rooms(&self) -> MutexGuard<'_, HashSet<RoomName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
