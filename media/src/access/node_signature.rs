//! Signatures of requests between nodes.

use super::{Refusal, Secret, mac::MacText};
use crate::digits;

/// The version of what is signed; no signed key begins like this.
const VERSION: &str = "node1";

/// The most that a signature's time may differ from the clock, in seconds.
const NODE_SIGNATURE_MAX_AGE_S: u64 = 30;

/// A request of one node to another, as far as it is signed. The host is part of it, so that a node that is asked
/// cannot ask a third one in the first one's name.
#[derive(Debug, Clone, Copy)]
pub struct NodeRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The host that is asked, as the request's Host header has it.
    pub host: &'a str,
    /// The path, with its query.
    pub path: &'a str,
}

impl NodeRequest<'_> {
    /// Signs the request in the name of `node`: `NODE;TIME;MAC`.
    pub fn sign(&self, secret: &Secret, node: &str, now_unix_s: u64) -> String {
        let time = now_unix_s.to_string();
        format!("{node};{time};{}", self.mac(secret, node, &time))
    }

    /// Verifies a signature and returns the node's name.
    pub fn verify<'t, 's>(
        &self,
        secrets: impl IntoIterator<Item = &'s Secret>,
        signature: &'t str,
        now_unix_s: u64,
    ) -> Result<&'t str, Refusal> {
        let mut parts = signature.split(';');
        let (Some(node), Some(time), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::NotANode);
        };
        let signed = MacText::parse(mac).filter(|mac| {
            secrets.into_iter().any(|secret| self.mac(secret, node, time).is(mac))
                && is_recent(time, now_unix_s)
        });
        signed.map(|_| node).ok_or(Refusal::NotANode)
    }

    fn mac(&self, secret: &Secret, node: &str, time: &str) -> MacText {
        // Clients leave out the port that goes without saying.
        let host = self.host.strip_suffix(":80").unwrap_or(self.host);
        MacText::sign(secret, &[VERSION, self.method, host, self.path, node, time])
    }
}

fn is_recent(time: &str, now_unix_s: u64) -> bool {
    digits::parse::<u64>(time).is_some_and(|time| time.abs_diff(now_unix_s) <= NODE_SIGNATURE_MAX_AGE_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const REQUEST: NodeRequest<'_> = NodeRequest { method: "GET", host: "10.0.0.1:8080", path: "/r.flv" };

    fn secret(fill: u8) -> Secret {
        Secret::new(&[fill; 32]).unwrap()
    }

    #[test]
    fn a_nodes_request_is_known_by_any_secret_of_the_cluster() {
        let signature = REQUEST.sign(&secret(1), "n1", NOW);
        assert_eq!(REQUEST.verify([&secret(2), &secret(1)], &signature, NOW), Ok("n1"));
        assert_eq!(REQUEST.verify([&secret(2)], &signature, NOW), Err(Refusal::NotANode));
    }

    #[test]
    fn a_signature_is_for_its_request_its_node_and_its_time() {
        let signature = REQUEST.sign(&secret(1), "n1", NOW);
        let verify = |request: NodeRequest<'_>, signature: &str, now| {
            request.verify([&secret(1)], signature, now).is_ok()
        };
        assert!(verify(REQUEST, &signature, NOW + NODE_SIGNATURE_MAX_AGE_S));
        assert!(verify(REQUEST, &signature, NOW - NODE_SIGNATURE_MAX_AGE_S));
        assert!(!verify(REQUEST, &signature, NOW + NODE_SIGNATURE_MAX_AGE_S + 1));
        assert!(!verify(NodeRequest { method: "HEAD", ..REQUEST }, &signature, NOW));
        assert!(!verify(NodeRequest { host: "10.0.0.2:8080", ..REQUEST }, &signature, NOW));
        assert!(!verify(NodeRequest { path: "/s.flv", ..REQUEST }, &signature, NOW));
        assert!(!verify(REQUEST, &signature.replace("n1", "n2"), NOW));
        for other in ["", "me", ";;", "n1;1;", &format!("{signature};")] {
            assert!(!verify(REQUEST, other, NOW), "{other}");
        }
    }
}
