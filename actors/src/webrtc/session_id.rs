//! Names of sessions.

use std::fmt;

/// The name of a session, 128 random bits: who knows it may end the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u128);

impl SessionId {
    /// A new name; `None` if the system has no random numbers.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.secure_random.fill(&mut bytes).ok()?;
        Some(Self(u128::from_be_bytes(bytes)))
    }

    /// Reads the form that [`Display`](fmt::Display) writes: 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_well_formed = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_well_formed.then(|| u128::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// It is as good as a password, and stays out of logs.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let id = SessionId::random().unwrap();
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_ne!(SessionId::random(), Some(id));
        for text in ["", "+1", &"0".repeat(31), &"g".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
