//! The rooms that someone may see in the list of rooms.

use std::sync::Arc;

use synctv_media::{
    access::{Action, Claims, Secrets, SignedKey},
    stream::room::RoomName,
};

use crate::clock::unix_s;

/// The rooms that one may see in the list of rooms.
#[derive(Debug, Clone)]
pub struct Visible(Seen);

#[derive(Debug, Clone)]
enum Seen {
    All,
    None,
    Of(Arc<Claims>),
    OfKey(SignedKey, Box<Secrets>),
}

impl Visible {
    pub(super) fn all() -> Self {
        Self(Seen::All)
    }

    pub(super) fn none() -> Self {
        Self(Seen::None)
    }

    pub(super) fn of(claims: Arc<Claims>) -> Self {
        Self(Seen::Of(claims))
    }

    pub(super) fn of_key(key: SignedKey, secrets: Secrets) -> Self {
        Self(Seen::OfKey(key, Box::new(secrets)))
    }

    /// Returns whether all rooms are seen, whatever their names.
    pub fn is_all(&self) -> bool {
        matches!(self.0, Seen::All)
    }

    /// Returns whether `room` is seen.
    pub fn sees(&self, room: &RoomName) -> bool {
        match &self.0 {
            Seen::All => true,
            Seen::None => false,
            Seen::Of(claims) => [Action::List, Action::Play]
                .into_iter()
                .any(|action| claims.check(action, room, unix_s()).is_ok()),
            Seen::OfKey(key, secrets) => [Action::List, Action::Play]
                .into_iter()
                .any(|action| key.verify(secrets.iter(), action, room, unix_s()).is_ok()),
        }
    }
}
