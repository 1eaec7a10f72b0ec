//! The short text form of a MAC.

use std::fmt;

use subtle::ConstantTimeEq;

use super::Secret;

/// Characters of a MAC's text: 132 bits, more than anyone can guess, and short enough for a camera's settings.
const MAC_CHARS: usize = 22;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The first [`MAC_CHARS`] characters of an HMAC-SHA256 in base64url.
#[derive(Clone, Copy, Hash)]
pub(super) struct MacText([u8; MAC_CHARS]);

impl MacText {
    /// Signs `parts`, joined by line breaks.
    pub fn sign(secret: &Secret, parts: &[&str]) -> Self {
        let mac = secret.mac(parts);
        Self(std::array::from_fn(|at| {
            let (byte, shift) = (at * 6 / 8, at * 6 % 8);
            let two = u16::from_be_bytes([mac[byte], mac[byte + 1]]);
            BASE64_URL[usize::from(two >> (10 - shift) & 63)]
        }))
    }

    /// Takes a text of the right length; whether it is the right one shows when it is compared.
    pub fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// Compares in a time that does not depend on where the two differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for MacText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|char| write!(f, "{}", char::from(*char)))
    }
}
