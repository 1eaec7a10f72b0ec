//! The rooms that a token is for.

use std::fmt;

use thiserror::Error;

use crate::stream::room::{RoomName, RoomNameError};

/// One room, or all rooms whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomPattern {
    /// The room of this name.
    Exact(RoomName),
    /// Every room whose name begins with this text, which may be empty.
    Prefix(String),
}

/// An error of a text that is no room pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither a room name nor the beginning of one followed by *")]
pub struct RoomPatternError(String);

impl RoomPattern {
    /// Parses a room name, or the beginning of one followed by `*`.
    pub fn parse(text: &str) -> Result<Self, RoomPatternError> {
        let Some(prefix) = text.strip_suffix('*') else {
            return RoomName::new(text).map(Self::Exact).map_err(|_| RoomPatternError(shown(text)));
        };
        match RoomName::new(prefix) {
            // Each of these begins a name, though it is none itself.
            Ok(_) | Err(RoomNameError::Empty | RoomNameError::Dots) => Ok(Self::Prefix(prefix.to_owned())),
            Err(RoomNameError::TooLong(_) | RoomNameError::Character(_)) => {
                Err(RoomPatternError(shown(text)))
            }
        }
    }

    /// Returns whether the pattern covers every room.
    pub fn covers_all(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix.is_empty())
    }

    /// Returns whether the pattern covers `room`.
    pub fn covers(&self, room: &RoomName) -> bool {
        match self {
            Self::Exact(name) => name == room,
            Self::Prefix(prefix) => room.as_str().starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for RoomPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, room: &str) -> bool {
        RoomPattern::parse(pattern).unwrap().covers(&RoomName::new(room).unwrap())
    }

    #[test]
    fn a_name_covers_itself_and_a_star_what_begins_alike() {
        assert!(covers("a", "a") && !covers("a", "ab") && !covers("ab", "a"));
        assert!(covers("a*", "a") && covers("a*", "ab") && !covers("a*", "b"));
        assert!(covers("*", "anything") && covers(".*", ".x"));
    }

    #[test]
    fn a_star_elsewhere_is_refused() {
        for text in ["", "a*b", "**", "a b", "a/*", &"x".repeat(129)] {
            assert!(RoomPattern::parse(text).is_err(), "{text}");
        }
    }
}
