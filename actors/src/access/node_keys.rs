//! The secret that the nodes of a cluster share.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use synctv_media::{
    access::{
        Action, Confidential, NodeRequest, PublisherProof, Refusal, Secret, Secrets, SignedKey, segment_key,
        segment_key_expiry,
    },
    stream::room::RoomName,
};

use thiserror::Error;

use crate::clock::unix_ms;

/// The time that a replaced secret is still accepted, in milliseconds: other nodes may not know the new one yet.
const REPLACED_FOR_MS: u64 = 60_000;

/// Signs requests to other nodes and segments' addresses, and verifies those of other nodes. Clones share the secret.
#[derive(Clone)]
pub struct NodeKeys {
    node: Arc<str>,
    secrets: Arc<RwLock<NodeSecrets>>,
    /// The time by which the cluster's clock is ahead of this node's, in milliseconds.
    clock_ahead_ms: Arc<AtomicI64>,
}

/// The system has no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no random numbers")]
pub struct RandomError;

struct NodeSecrets {
    current: Secrets,
    /// The one before, and until when it counts.
    replaced: Option<(Secrets, u64)>,
}

impl NodeKeys {
    /// The keys of the node `node`. The first of `secrets` signs.
    pub fn new(node: &str, secrets: Secrets) -> Self {
        let secrets = NodeSecrets { current: secrets, replaced: None };
        Self { node: node.into(), secrets: Arc::new(RwLock::new(secrets)), clock_ahead_ms: Arc::default() }
    }

    /// The keys of the node `node` with a secret of its own, until it learns the cluster's.
    pub fn random(node: &str) -> Result<Self, RandomError> {
        let mut bytes = [0; 32];
        // AWS-LC's generator would first gather entropy of its own, for a tenth of a second.
        getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Secrets::parse(&text).map_err(|_| RandomError)?;
        Ok(Self::new(node, secret))
    }

    /// The secrets as a setting has them, for the next program of this process.
    pub(crate) fn secret_text(&self) -> Option<String> {
        let secrets = self.read();
        let texts = secrets.current.iter().map(|secret| std::str::from_utf8(secret.expose()));
        Some(texts.collect::<Result<Vec<_>, _>>().ok()?.join(","))
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The cluster's time, in milliseconds since 1970. All nodes sign and judge by one clock, as their own may be minutes apart.
    pub(super) fn unix_ms(&self) -> u64 {
        unix_ms().saturating_add_signed(self.clock_ahead_ms.load(Ordering::Relaxed))
    }

    /// Takes over the cluster's time. Returns by how much it is ahead of this node's clock, in milliseconds.
    pub(super) fn set_unix_ms(&self, cluster_unix_ms: u64) -> i64 {
        let ahead_ms = cluster_unix_ms.cast_signed().saturating_sub(unix_ms().cast_signed());
        self.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
        ahead_ms
    }

    /// Signs a request to another node: the value of its header [`PULL_HEADER`](crate::cluster::origin::PULL_HEADER).
    pub fn sign(&self, request: &NodeRequest<'_>) -> String {
        request.sign(self.read().current.first(), &self.node, self.unix_ms() / 1000)
    }

    /// Verifies that a request comes from a node.
    pub fn verify(&self, request: &NodeRequest<'_>, signature: &str) -> Result<(), Refusal> {
        let now_unix_ms = self.unix_ms();
        request.verify(self.read().accepted(now_unix_ms), signature, now_unix_ms / 1000).map(drop)
    }

    /// The key that the segments of `room` are handed out with.
    pub fn segment_key(&self, room: &RoomName) -> SignedKey {
        segment_key(self.read().current.first(), room, segment_key_expiry(self.unix_ms() / 1000))
    }

    /// Verifies a segment's key.
    pub fn verify_segment(&self, key: &SignedKey, room: &RoomName) -> Result<(), Refusal> {
        let now_unix_ms = self.unix_ms();
        key.verify(self.read().accepted(now_unix_ms), Action::Segment, room, now_unix_ms / 1000)
    }

    /// The proof by which the nodes recognise the publisher `who` of `room`.
    pub(crate) fn publisher_proof(&self, room: &RoomName, who: &Confidential) -> PublisherProof {
        PublisherProof::sign(self.read().current.first(), room, who.expose())
    }

    /// The secret that signs now.
    pub(super) fn current(&self) -> Secret {
        self.read().current.first().clone()
    }

    /// Signs with `secret` from now on. The one before is accepted for a while.
    pub(super) fn replace(&self, secret: Secrets) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.current != secret {
            let before = std::mem::replace(&mut secrets.current, secret);
            secrets.replaced = Some((before, self.unix_ms() + REPLACED_FOR_MS));
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, NodeSecrets> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeSecrets {
    fn accepted(&self, now_unix_ms: u64) -> impl Iterator<Item = &Secret> {
        let replaced = self.replaced.as_ref().filter(|(_, until)| *until > now_unix_ms);
        self.current.iter().chain(replaced.into_iter().flat_map(|(secrets, _)| secrets.iter()))
    }
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKeys").field("node", &self.node).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    const REQUEST: NodeRequest<'_> = NodeRequest { method: "GET", host: "h", path: "/p" };

    fn keys(fill: &str) -> NodeKeys {
        NodeKeys::new("n1", Secrets::parse(&fill.repeat(32)).unwrap())
    }

    #[test]
    fn nodes_whose_clocks_are_apart_verify_each_other_by_the_clusters_time() {
        let (one, other) = (keys("a"), keys("a"));
        one.set_unix_ms(unix_ms() + 300_000);
        assert_eq!(other.verify(&REQUEST, &one.sign(&REQUEST)), Err(Refusal::NotANode));
        assert!((299_000..=300_000).contains(&other.set_unix_ms(unix_ms() + 300_000)));
        assert_eq!(other.verify(&REQUEST, &one.sign(&REQUEST)), Ok(()));
        let key = one.segment_key(&room("r"));
        assert_eq!(other.verify_segment(&key, &room("r")), Ok(()));
    }

    #[test]
    fn a_replaced_secret_is_accepted_for_a_while() {
        let (one, other) = (keys("a"), keys("b"));
        let (signature, key) = (one.sign(&REQUEST), one.segment_key(&room("r")));
        assert_eq!(other.verify(&REQUEST, &signature), Err(Refusal::NotANode));
        one.replace(Secrets::parse(&"b".repeat(32)).unwrap());
        assert_eq!(one.verify(&REQUEST, &signature), Ok(()));
        assert_eq!(one.verify_segment(&key, &room("r")), Ok(()));
        assert_eq!(one.verify_segment(&key, &room("s")), Err(Refusal::TokenInvalid));
        assert_eq!(other.verify(&REQUEST, &one.sign(&REQUEST)), Ok(()));
        let secrets = one.read();
        assert_eq!(secrets.accepted(unix_ms() + REPLACED_FOR_MS + 1).count(), 1);
    }
}
