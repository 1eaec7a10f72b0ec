//! The name of a room: what publishers push to and viewers ask for.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digits;

/// The longest room name, in bytes.
pub const ROOM_NAME_MAX_BYTES: usize = 128;

/// A valid room name: 1 to 128 of `A-Z a-z 0-9 _ - .`, and neither `.` nor `..`.
///
/// Such a name is safe as it stands in a URL's path, a file name, a Redis key and a log line. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(Arc<str>);

/// The reason a text is not a room name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoomNameError {
    /// Nothing was named.
    #[error("the room name is empty")]
    Empty,
    /// More than [`ROOM_NAME_MAX_BYTES`].
    #[error("the room name has {0} bytes, the limit is {ROOM_NAME_MAX_BYTES}")]
    TooLong(usize),
    /// A character outside the set, shown escaped.
    #[error("the room name has the character {0:?}; allowed are A-Z a-z 0-9 _ - .")]
    Character(char),
    /// `.` or `..`, which mean something else in a path.
    #[error("the room name cannot be \".\" or \"..\"")]
    Dots,
}

impl TryFrom<String> for RoomName {
    type Error = RoomNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<RoomName> for String {
    fn from(RoomName(name): RoomName) -> Self {
        name.as_ref().to_owned()
    }
}

impl RoomName {
    /// Checks `name` and keeps it.
    pub fn new(name: &str) -> Result<Self, RoomNameError> {
        if name.is_empty() {
            return Err(RoomNameError::Empty);
        }
        if name.len() > ROOM_NAME_MAX_BYTES {
            return Err(RoomNameError::TooLong(name.len()));
        }
        if let Some(bad) = name.chars().find(|c| !is_allowed(*c)) {
            return Err(RoomNameError::Character(bad));
        }
        if name == "." || name == ".." {
            return Err(RoomNameError::Dots);
        }
        Ok(Self(name.into()))
    }

    /// Checks a name as it comes in an address, where any of its characters may be escaped (RFC 3986 section 2.1).
    ///
    /// Only escapes of characters that a name can have are resolved: none can stand for a separator.
    pub fn from_address(text: &str) -> Result<Self, RoomNameError> {
        Self::new(&unescaped(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unescaped(text: &str) -> Cow<'_, str> {
    let Some((plain, escaped)) = text.split_once('%') else { return Cow::Borrowed(text) };
    let mut out = plain.to_owned();
    for part in escaped.split('%') {
        let escape = part.get(..2).and_then(digits::parse_hex_byte).map(char::from);
        match (escape.filter(|c| is_allowed(*c)), part.get(2..)) {
            (Some(c), Some(rest)) => {
                out.push(c);
                out.push_str(rest);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    Cow::Owned(out)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_allowed_set_are_kept() {
        for name in ["a", "room_test123", "A-b.C", "...", &"x".repeat(128)] {
            assert_eq!(RoomName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        assert_eq!(RoomName::new(""), Err(RoomNameError::Empty));
        assert_eq!(RoomName::new("."), Err(RoomNameError::Dots));
        assert_eq!(RoomName::new(".."), Err(RoomNameError::Dots));
        assert_eq!(RoomName::new("a/b"), Err(RoomNameError::Character('/')));
        assert_eq!(RoomName::new("a\0"), Err(RoomNameError::Character('\0')));
        assert_eq!(RoomName::new("<img src=x>"), Err(RoomNameError::Character('<')));
        assert_eq!(RoomName::new("é"), Err(RoomNameError::Character('é')));
        assert_eq!(RoomName::new(&"x".repeat(129)), Err(RoomNameError::TooLong(129)));
    }

    #[test]
    fn escapes_stand_for_characters_of_names_only() {
        for (text, name) in [("my%2Droom", "my-room"), ("%61%2db", "a-b"), ("plain", "plain"), ("%41", "A")] {
            assert_eq!(RoomName::from_address(text).unwrap().as_str(), name);
        }
        assert_eq!(RoomName::from_address("%2e%2E"), Err(RoomNameError::Dots));
        for text in ["a%2Fb", "a%20b", "%", "a%2", "a%zz", "a%+1", "%25", "%2%44", "%c3%a9", "a%2é"] {
            assert_eq!(RoomName::from_address(text), Err(RoomNameError::Character('%')), "{text}");
        }
    }
}
