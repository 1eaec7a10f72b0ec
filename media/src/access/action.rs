//! The actions that access is decided for.

use std::fmt;

/// An action that needs access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Publishing a room.
    Publish,
    /// Watching a room.
    Play,
    /// Fetching an HLS segment that a playlist named.
    Segment,
    /// Seeing a room in the list of rooms.
    List,
    /// Disconnecting, blocking and revoking.
    Admin,
    /// Fetching a room's media as another node of the cluster.
    Pull,
}

impl Action {
    const ALL: [Self; 6] = [Self::Publish, Self::Play, Self::Segment, Self::List, Self::Admin, Self::Pull];

    /// The word for the action, as tokens, signed keys and the HTTP callback have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
            Self::Segment => "segment",
            Self::List => "list",
            Self::Admin => "admin",
            Self::Pull => "pull",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Publish => 1,
            Self::Play => 2,
            Self::Segment => 4,
            Self::List => 8,
            Self::Admin => 16,
            Self::Pull => 32,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions(u8);

impl Actions {
    /// Returns the set with `action` in it.
    pub fn with(self, action: Action) -> Self {
        Self(self.0 | action.bit())
    }

    /// Adds the action that `word` names. Unknown words add nothing: a token of a later version stays valid for what
    /// this one knows.
    pub fn with_word(self, word: &str) -> Self {
        let grantable = Action::ALL.into_iter().filter(|action| action.is_grantable());
        grantable.filter(|action| action.as_str() == word).fold(self, Self::with)
    }

    /// Returns whether `action` is in the set.
    pub fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }
}

impl Action {
    /// Segments and pulls are between nodes: no token grants them.
    fn is_grantable(self) -> bool {
        !matches!(self, Self::Segment | Self::Pull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set = Actions::default().with_word("play").with_word("list").with_word("dance");
        for action in Action::ALL {
            assert_eq!(set.contains(action), matches!(action, Action::Play | Action::List), "{action}");
        }
    }

    #[test]
    fn no_token_grants_what_is_between_nodes() {
        let set = Actions::default().with_word("pull").with_word("segment");
        assert_eq!(set, Actions::default());
    }
}
