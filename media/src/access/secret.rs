//! Secrets that tokens, keys and nodes' requests are signed with.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The shortest secret, in bytes: as long as the hash, below which guessing becomes the cheaper attack.
pub const SECRET_MIN_BYTES: usize = 32;

/// The longest secret, in bytes.
const SECRET_MAX_BYTES: usize = 256;

/// The block size of SHA-256, to which HMAC fills its key up (RFC 2104).
const BLOCK_BYTES: usize = 64;

/// A secret. `Debug` hides it, and comparison takes the same time wherever two secrets differ.
#[derive(Clone)]
pub struct Secret {
    bytes: Box<[u8]>,
    /// Keyed once, as the key's blocks cost as much as a message.
    keyed: Hmac<Sha256>,
}

/// An error of a text that cannot be a secret. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a secret has {SECRET_MIN_BYTES} to {SECRET_MAX_BYTES} bytes, this one has {size_bytes}")]
pub struct SecretError {
    size_bytes: usize,
}

impl Secret {
    /// Checks the length of `bytes` and keeps them.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        if !(SECRET_MIN_BYTES..=SECRET_MAX_BYTES).contains(&bytes.len()) {
            return Err(SecretError { size_bytes: bytes.len() });
        }
        Ok(Self { bytes: bytes.into(), keyed: Hmac::new(&block(bytes).into()) })
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether `text` is the secret.
    pub fn is(&self, text: &[u8]) -> bool {
        self.bytes.ct_eq(text).into()
    }

    /// Returns the HMAC-SHA256 of `parts`, joined by line breaks.
    pub(super) fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                mac.update(b"\n");
            }
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// The key as HMAC uses it: filled up with zeros, and hashed first if it is longer than a block.
fn block(key: &[u8]) -> [u8; BLOCK_BYTES] {
    let hashed;
    let key = if key.len() > BLOCK_BYTES {
        hashed = Sha256::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    let mut block = [0; BLOCK_BYTES];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    block
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.bytes)
    }
}

impl Eq for Secret {}

/// Secrets of one purpose: the first signs, all verify, so that a secret can be replaced while old signatures last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    first: Secret,
    older: Vec<Secret>,
}

impl Secrets {
    /// Parses secrets that are separated by commas.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let mut secrets = text.split(',').map(|secret| Secret::new(secret.trim().as_bytes()));
        let first = secrets.next().unwrap_or(Err(SecretError { size_bytes: 0 }))?;
        Ok(Self { first, older: secrets.collect::<Result<_, _>>()? })
    }

    /// The secret that signs.
    pub fn first(&self) -> &Secret {
        &self.first
    }

    /// All secrets, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test cases 6 and 7: a key that is longer than a block.
    #[test]
    fn the_mac_is_that_of_the_standard() {
        let secret = Secret::new(&[0xaa; 131]).unwrap();
        let mac = secret.mac(&["Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&mac), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    /// Made with `printf 'a\nb' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`.
    #[test]
    fn parts_are_joined_by_line_breaks() {
        let secret = Secret::new(b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(secret.mac(&["a", "b"]), secret.mac(&["a\nb"]));
        assert_eq!(
            hex(&secret.mac(&["a", "b"])),
            "bdebfe5abe172240e70a6dc7c6fa4f70af35f675a047ddec8247a279486c3849"
        );
    }

    #[test]
    fn lengths_out_of_range_are_refused_without_being_shown() {
        for size_bytes in [0, 31, 257] {
            assert_eq!(Secret::new(&vec![b'x'; size_bytes]), Err(SecretError { size_bytes }));
        }
        let list = format!("{},short", "x".repeat(32));
        assert_eq!(Secrets::parse(&list), Err(SecretError { size_bytes: 5 }));
        assert!(!Secrets::parse(&list).unwrap_err().to_string().contains("short"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        let shown = format!("{:?} {:?}", Secret::new(text.as_bytes()), Secrets::parse(text));
        assert!(shown.contains("***") && !shown.contains("0123"), "{shown}");
    }

    #[test]
    fn the_first_of_a_list_signs() {
        let list = Secrets::parse(&format!("{}, {}", "a".repeat(32), "b".repeat(32))).unwrap();
        assert!(list.first().is(&[b'a'; 32]));
        assert_eq!(list.iter().count(), 2);
    }
}
