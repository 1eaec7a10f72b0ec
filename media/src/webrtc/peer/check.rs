//! Connectivity checks of viewers (RFC 8445, section 7), and the recognition of other datagrams.

use std::fmt;

use str0m::ice::StunMessage;

use super::{address::PeerAddress, dtls, media_path::Nomination};

/// The credentials that a viewer's checks have, from the answer to its offer.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckKey {
    ufrag: String,
    password: String,
}

impl CheckKey {
    pub(super) fn new(ufrag: String, password: String) -> Self {
        Self { ufrag, password }
    }

    /// Returns the name by which the viewer's checks are known; see [`ufrag`].
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Returns whether a datagram is a check that was made with these credentials. Any other check may be forged, and could redirect
    /// the media or keep alive a session whose viewer has left.
    pub fn verifies(&self, datagram: &[u8]) -> bool {
        let Ok(message) = StunMessage::parse(datagram) else { return false };
        let hmac = dtls::crypto().sha1_hmac_provider;
        message.is_binding_request()
            && message.split_username().is_some_and(|(ours, _)| ours == self.ufrag)
            && message.verify(self.password.as_bytes(), |key, parts| hmac.sha1_hmac(key, parts))
    }

    /// Returns the nomination in a datagram from this address, if it is a check that was made with these credentials.
    pub(super) fn nomination(&self, datagram: &[u8], from: PeerAddress) -> Option<Nomination> {
        let message = is_check(datagram).then(|| StunMessage::parse(datagram).ok())??;
        let is_nomination = message.use_candidate() && self.verifies(datagram);
        is_nomination.then(|| Nomination { from, priority: message.prio().unwrap_or_default() })
    }
}

/// The password is a secret of the session.
impl fmt::Debug for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckKey").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Returns the name of the peer that a check is for (RFC 8445, section 7.2.2). `None` if the datagram is no check or has no name.
pub fn ufrag(datagram: &[u8]) -> Option<String> {
    let message = StunMessage::parse(datagram).ok()?;
    let (ours, _) = message.is_binding_request().then(|| message.split_username())??;
    Some(ours.to_owned())
}

/// Returns whether a datagram is of ICE (RFC 7983, section 7).
pub fn is_check(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// Returns whether a datagram is of RTP or RTCP (RFC 7983, section 7).
pub(super) fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (128..192).contains(first))
}

#[cfg(any(test, feature = "testing"))]
impl CheckKey {
    /// Credentials of a test.
    pub fn of(ufrag: &str, password: &str) -> Self {
        Self::new(ufrag.to_owned(), password.to_owned())
    }

    /// Makes a check with these credentials.
    pub fn check(&self) -> Vec<u8> {
        let username = format!("{}:peer", self.ufrag);
        let message = StunMessage::binding_request(&username, str0m::ice::TransId::new(), true, 1, 1, true);
        let mut datagram = vec![0; 200];
        let hmac = dtls::crypto().sha1_hmac_provider;
        let password = Some(self.password.as_bytes());
        let size_bytes = message.to_bytes(password, &mut datagram, |key, parts| hmac.sha1_hmac(key, parts));
        // The buffer is large enough: names in tests are short.
        datagram.truncate(size_bytes.unwrap_or_default());
        datagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_of_one_session_and_made_with_its_password() {
        let key = CheckKey::of("name", "password");
        let check = key.check();
        assert!(is_check(&check) && key.verifies(&check));
        assert_eq!(ufrag(&check).as_deref(), Some("name"));
        assert!(!CheckKey::of("other", "password").verifies(&check));
        assert!(!CheckKey::of("name", "another").verifies(&check));
        for end in 0..check.len() {
            assert!(!key.verifies(&check[..end]), "{end} bytes");
        }
        assert!(!format!("{key:?}").contains("password"));
    }
}
