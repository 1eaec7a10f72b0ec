//! Proofs that a publisher is the one that a node asked to reconnect.

use std::fmt;

use super::{Secret, mac::MacText};
use crate::stream::room::RoomName;

/// The version of what is signed; no signed key and no node's signature begins like this.
const VERSION: &str = "publisher1";

/// A publisher of one room, as the nodes of a cluster recognise it. It is a MAC, so that it can be kept where others
/// read it: who the publisher is may be said by a key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublisherProof(String);

impl PublisherProof {
    /// The proof of the publisher `who` of `room`.
    pub fn sign(secret: &Secret, room: &RoomName, who: &str) -> Self {
        Self(MacText::sign(secret, &[VERSION, room.as_str(), who]).to_string())
    }

    /// Takes a proof as it was written.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The proof as text, without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PublisherProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublisherProof(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_publisher_in_one_room_of_one_cluster() {
        let secret = |fill: u8| Secret::new(&[fill; 32]).unwrap();
        let room = |name| RoomName::new(name).unwrap();
        let proof = PublisherProof::sign(&secret(1), &room("r"), "key=1");
        assert_eq!(proof, PublisherProof::sign(&secret(1), &room("r"), "key=1"));
        for other in [
            PublisherProof::sign(&secret(2), &room("r"), "key=1"),
            PublisherProof::sign(&secret(1), &room("s"), "key=1"),
            PublisherProof::sign(&secret(1), &room("r"), "key=2"),
        ] {
            assert_ne!(proof, other);
        }
        assert!(!proof.as_str().contains([' ', '=']));
    }
}
