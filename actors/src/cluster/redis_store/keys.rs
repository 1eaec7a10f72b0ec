//! The names of this server's keys, in a Redis that other applications may use as well.

use std::fmt;

use synctv_media::stream::room::RoomName;
use thiserror::Error;

/// The longest prefix.
const PREFIX_MAX: usize = 64;

/// The prefix of all keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPrefix(String);

/// A text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it has more than {PREFIX_MAX} characters, or others than A-Z a-z 0-9 _ - . : /")]
pub struct KeyPrefixError;

impl KeyPrefix {
    /// Checks `text`: a prefix has nothing in it that a pattern of `KEYS` would take for more than itself.
    pub fn new(text: &str) -> Result<Self, KeyPrefixError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
        let is_good = text.len() <= PREFIX_MAX && text.chars().all(allowed);
        is_good.then(|| Self(text.to_owned())).ok_or(KeyPrefixError)
    }

    /// The table: `r:ROOM` is a claim, `n:NODE` a lease. Nodes believe it and nothing else.
    pub(super) fn claims(&self) -> String {
        format!("{self}synctv:claims")
    }

    /// The counter that epochs come from.
    pub(super) fn epoch(&self) -> String {
        format!("{self}claim_epoch")
    }

    /// A room's HLS numbers.
    pub(super) fn numbers(&self, room: &RoomName) -> String {
        format!("{self}synctv:numbers:{room}")
    }

    /// A room's entry for people and monitoring: a copy of its claim.
    pub(super) fn room(&self, room: &RoomName) -> String {
        format!("{self}stream:{room}")
    }

    /// A node's entry for people and monitoring, which expires with its lease. A second witness of the lease, should the
    /// table be full.
    pub(super) fn node(&self, node: &str) -> String {
        format!("{}{node}", self.nodes())
    }

    /// The secret that nodes sign their requests to each other with.
    pub(super) fn cluster_secret(&self) -> String {
        format!("{self}cluster_secret")
    }

    /// A sorted set: administrators' orders by the time of their end.
    pub(super) fn access_orders(&self) -> String {
        format!("{self}access_orders")
    }

    /// A text that changes with the orders, so that nodes read them only then.
    pub(super) fn access_version(&self) -> String {
        format!("{self}access_version")
    }

    /// The prefix of all nodes' entries.
    pub(super) fn nodes(&self) -> String {
        format!("{self}node:")
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_in_front_of_every_key() {
        let prefix = KeyPrefix::new("live:eu/").unwrap();
        let room = RoomName::new("r").unwrap();
        let keys =
            [prefix.claims(), prefix.epoch(), prefix.numbers(&room), prefix.room(&room), prefix.node("n")];
        assert!(keys.iter().all(|key| key.starts_with("live:eu/")), "{keys:?}");
        assert_eq!(KeyPrefix::default().room(&room), "stream:r");
    }

    #[test]
    fn patterns_and_spaces_are_no_prefix() {
        for text in ["a*", "a b", "{a}", "a\n", &"a".repeat(65)] {
            assert_eq!(KeyPrefix::new(text), Err(KeyPrefixError), "{text}");
        }
    }
}
