//! The claims of a token whose signature was verified.

use super::{Action, Actions, LEEWAY_S, Refusal, RoomPattern};
use crate::stream::room::RoomName;

/// The contents of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The rooms that it is for.
    pub room: RoomPattern,
    /// The actions that it allows.
    pub actions: Actions,
    /// Until when a connection may begin, in seconds since 1970. One that has begun stays.
    pub expires_unix_s: u64,
    /// From when it is valid.
    pub not_before_unix_s: Option<u64>,
    /// The time at which open connections are cut.
    pub ends_unix_s: Option<u64>,
    /// The name of its holder.
    pub subject: Option<String>,
    /// The name by which it can be revoked.
    pub token_id: Option<String>,
    /// Limit of connections on one node.
    pub connections_max: Option<u32>,
}

impl Claims {
    /// Checks what does not depend on the room or the action: the time.
    pub fn check_time(&self, now_unix_s: u64) -> Result<(), Refusal> {
        let is_over = |until: u64| until.saturating_add(LEEWAY_S) <= now_unix_s;
        // The cut itself has no leeway, or a client that comes back would be cut again at once.
        if is_over(self.expires_unix_s) || self.ends_unix_s.is_some_and(|end| end <= now_unix_s) {
            return Err(Refusal::TokenExpired);
        }
        match self.not_before_unix_s {
            Some(from) if from > now_unix_s.saturating_add(LEEWAY_S) => Err(Refusal::TokenInvalid),
            _ => Ok(()),
        }
    }

    /// Refuses unless the token allows `action` in `room` now.
    pub fn check(&self, action: Action, room: &RoomName, now_unix_s: u64) -> Result<(), Refusal> {
        self.check_action(action, now_unix_s)?;
        match self.room.covers(room) {
            true => Ok(()),
            false => Err(Refusal::WrongRoom),
        }
    }

    /// Refuses unless the token allows `action` in all rooms now.
    pub fn check_everywhere(&self, action: Action, now_unix_s: u64) -> Result<(), Refusal> {
        self.check_action(action, now_unix_s)?;
        match self.room.covers_all() {
            true => Ok(()),
            false => Err(Refusal::WrongRoom),
        }
    }

    fn check_action(&self, action: Action, now_unix_s: u64) -> Result<(), Refusal> {
        self.check_time(now_unix_s)?;
        match self.actions.contains(action) {
            true => Ok(()),
            false => Err(Refusal::NotAllowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            room: RoomPattern::parse("a*").unwrap(),
            actions: Actions::default().with(Action::Play),
            expires_unix_s: NOW + 60,
            not_before_unix_s: None,
            ends_unix_s: None,
            subject: None,
            token_id: None,
            connections_max: None,
        }
    }

    #[test]
    fn a_token_is_for_its_rooms_and_actions() {
        let check = |action, name| claims().check(action, &RoomName::new(name).unwrap(), NOW);
        assert_eq!(check(Action::Play, "ab"), Ok(()));
        assert_eq!(check(Action::Play, "b"), Err(Refusal::WrongRoom));
        assert_eq!(check(Action::Publish, "ab"), Err(Refusal::NotAllowed));
        assert_eq!(check(Action::Pull, "ab"), Err(Refusal::NotAllowed));
        assert_eq!(claims().check_everywhere(Action::Play, NOW), Err(Refusal::WrongRoom));
        let everywhere = Claims { room: RoomPattern::parse("*").unwrap(), ..claims() };
        assert_eq!(everywhere.check_everywhere(Action::Play, NOW), Ok(()));
        assert_eq!(everywhere.check_everywhere(Action::Admin, NOW), Err(Refusal::NotAllowed));
    }

    #[test]
    fn clocks_may_differ_by_the_leeway() {
        let mut token = Claims { expires_unix_s: NOW, ..claims() };
        assert_eq!(token.check_time(NOW + LEEWAY_S - 1), Ok(()));
        assert_eq!(token.check_time(NOW + LEEWAY_S), Err(Refusal::TokenExpired));
        token = Claims { not_before_unix_s: Some(NOW), ..claims() };
        assert_eq!(token.check_time(NOW - LEEWAY_S), Ok(()));
        assert_eq!(token.check_time(NOW - LEEWAY_S - 1), Err(Refusal::TokenInvalid));
    }

    #[test]
    fn what_was_cut_does_not_begin_again() {
        let token = Claims { ends_unix_s: Some(NOW), ..claims() };
        assert_eq!(token.check_time(NOW - 1), Ok(()));
        assert_eq!(token.check_time(NOW), Err(Refusal::TokenExpired));
    }
}
