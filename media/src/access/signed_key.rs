//! Signed keys: credentials of 33 characters, for cameras and for addresses that people type.

use std::fmt;

use super::{Action, LEEWAY_S, Refusal, Secret, mac::MacText};
use crate::stream::room::RoomName;

/// The version of what is signed, so that a later form is never taken for this one.
const VERSION: &str = "v1";

/// A key that lets its holder do one thing in one room until a time: `EXP.MAC`.
///
/// ```
/// use synctv_media::{access::{Action, Secret, SignedKey}, stream::room::RoomName};
///
/// let secret = Secret::new(b"0123456789abcdef0123456789abcdef")?;
/// let room = RoomName::new("camera-7")?;
/// let key = SignedKey::make(&secret, Action::Publish, &room, 2_000_000_000).to_string();
/// let key = SignedKey::parse(&key).ok_or("33 characters")?;
/// assert!(key.verify([&secret], Action::Publish, &room, 1_999_999_999).is_ok());
/// assert!(key.verify([&secret], Action::Play, &room, 1_999_999_999).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Hash)]
pub struct SignedKey {
    /// 0 never expires.
    expires_unix_s: u64,
    mac: MacText,
}

impl SignedKey {
    /// Signs a key. With an `expires_unix_s` of 0 it is for ever.
    pub fn make(secret: &Secret, action: Action, room: &RoomName, expires_unix_s: u64) -> Self {
        let expires = expires_unix_s.to_string();
        let mac = MacText::sign(secret, &[VERSION, action.as_str(), room.as_str(), &expires]);
        Self { expires_unix_s, mac }
    }

    /// Reads a text that has the form of a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (expires, mac) = text.split_once('.')?;
        let expires_unix_s: u64 = expires.parse().ok()?;
        // One number, one text: what is signed is the text.
        let is_canonical = expires_unix_s.to_string() == expires;
        let mac = MacText::parse(mac)?;
        is_canonical.then_some(Self { expires_unix_s, mac })
    }

    /// Verifies the key for one action in one room. A key for anything else reads as a wrong signature: the key does
    /// not say what it is for.
    pub fn verify<'s>(
        &self,
        secrets: impl IntoIterator<Item = &'s Secret>,
        action: Action,
        room: &RoomName,
        now_unix_s: u64,
    ) -> Result<(), Refusal> {
        let is_signed = secrets
            .into_iter()
            .any(|secret| Self::make(secret, action, room, self.expires_unix_s).mac.is(&self.mac));
        match is_signed {
            false => Err(Refusal::TokenInvalid),
            true if self.has_expired(now_unix_s) => Err(Refusal::TokenExpired),
            true => Ok(()),
        }
    }

    /// The time until which it is valid; 0 is for ever.
    pub fn expires_unix_s(&self) -> u64 {
        self.expires_unix_s
    }

    /// Returns whether the two are the same key.
    pub fn is(&self, other: &Self) -> bool {
        self.expires_unix_s == other.expires_unix_s && self.mac.is(&other.mac)
    }

    fn has_expired(&self, now_unix_s: u64) -> bool {
        self.expires_unix_s != 0 && self.expires_unix_s.saturating_add(LEEWAY_S) <= now_unix_s
    }
}

impl fmt::Display for SignedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.expires_unix_s, self.mac)
    }
}

impl fmt::Debug for SignedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedKey({}.***)", self.expires_unix_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn secret(fill: u8) -> Secret {
        Secret::new(&[fill; 32]).unwrap()
    }

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    /// README's line of shell, with a secret of 32 times `a`.
    #[test]
    fn a_key_is_what_the_shell_makes() {
        let key = SignedKey::make(&secret(b'a'), Action::Publish, &room("camera-7"), 0);
        assert_eq!(key.to_string(), "0._PaTCJIDBM_bLJ0eekt_vl");
    }

    #[test]
    fn a_key_has_33_characters_and_hides_its_mac() {
        let key = SignedKey::make(&secret(1), Action::Play, &room("r"), NOW);
        assert_eq!(key.to_string().len(), 33);
        assert_eq!(format!("{key:?}"), "SignedKey(1800000000.***)");
    }

    #[test]
    fn a_key_expires_after_the_leeway_and_with_0_never() {
        let verify = |expires, now| {
            SignedKey::make(&secret(1), Action::Play, &room("r"), expires).verify(
                [&secret(1)],
                Action::Play,
                &room("r"),
                now,
            )
        };
        assert_eq!(verify(NOW, NOW + LEEWAY_S - 1), Ok(()));
        assert_eq!(verify(NOW, NOW + LEEWAY_S), Err(Refusal::TokenExpired));
        assert_eq!(verify(0, NOW), Ok(()));
        assert_eq!(verify(u64::MAX, u64::MAX - 1), Ok(()));
    }

    #[test]
    fn older_secrets_of_a_list_still_verify() {
        let key = SignedKey::make(&secret(1), Action::Play, &room("r"), NOW);
        assert_eq!(key.verify([&secret(2), &secret(1)], Action::Play, &room("r"), NOW), Ok(()));
        assert_eq!(key.verify([&secret(2)], Action::Play, &room("r"), NOW), Err(Refusal::TokenInvalid));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let mac = "x".repeat(22);
        for text in [
            String::new(),
            mac.clone(),
            format!(".{mac}"),
            format!("+1.{mac}"),
            format!("01.{mac}"),
            format!("-1.{mac}"),
            format!("99999999999999999999.{mac}"),
            format!("1.{mac}x"),
            format!("1.{}", &mac[1..]),
            format!("1.1.{}", &mac[2..]) + "é",
        ] {
            assert!(SignedKey::parse(&text).is_none(), "{text}");
        }
        assert!(SignedKey::parse(&format!("0.{mac}")).is_some());
    }
}
