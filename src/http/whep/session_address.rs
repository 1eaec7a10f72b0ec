//! The last part of a session's address: its name, and the node that has it.

use std::fmt::{self, Write};

use synctv_actors::webrtc::SessionId;
use synctv_media::digits;

/// Digits of a [`SessionId`].
const ID_CHARS: usize = 32;

/// A session and its node. A balancer may send a request about a session to any node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionAddress {
    pub id: SessionId,
    pub node: String,
}

impl SessionAddress {
    /// Reads the form that [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_at_checked(ID_CHARS)?;
        let node = rest.strip_prefix('-').filter(|node| !node.is_empty())?;
        Some(Self { id: SessionId::parse(id)?, node: unescape(node)? })
    }
}

/// `ID-NODE`. Characters of a node's name that a path has no place for are escaped (RFC 3986, section 2.1).
impl fmt::Display for SessionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.id)?;
        for byte in self.node.bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => f.write_char(byte.into())?,
                _ if byte.is_ascii_alphanumeric() => f.write_char(byte.into())?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (hex, behind) = rest.split_first_chunk::<2>()?;
        bytes.push(digits::parse_hex_byte(str::from_utf8(hex).ok()?)?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let id = SessionId::parse(&"0a".repeat(16)).unwrap();
        for node in ["n1", "synctv-0.synctv", "a b/ü%", "x:1935"] {
            let address = SessionAddress { id, node: node.to_owned() };
            let text = address.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'), "{text}");
            assert_eq!(SessionAddress::parse(&text), Some(address));
        }
    }

    #[test]
    fn other_text_is_none() {
        let id = "0a".repeat(16);
        for text in
            ["", "n1", &id, &format!("{id}-"), &format!("{id}n1"), &format!("{id}-%4"), &format!("{id}-%+1")]
        {
            assert_eq!(SessionAddress::parse(text), None, "{text}");
        }
    }
}
