//! Access: who may publish, watch and administer, as a pure decision.
//!
//! Credentials are texts that a client presents: a token, whose signature is verified elsewhere and whose [`Claims`]
//! are judged here, or a [`SignedKey`]. Time is a parameter, in seconds since 1970, so that every rule can be tested at
//! every moment.

mod action;
mod buckets;
mod claims;
mod credential;
mod mac;
mod node_signature;
mod policy;
mod publisher_proof;
mod refusal;
mod room_pattern;
mod secret;
mod segment_key;
mod signed_key;

pub use self::{
    action::{Action, Actions},
    buckets::{AddressKey, FailureBuckets},
    claims::Claims,
    credential::{Confidential, Credential},
    node_signature::NodeRequest,
    policy::{Openness, Policy},
    publisher_proof::PublisherProof,
    refusal::Refusal,
    room_pattern::{RoomPattern, RoomPatternError},
    secret::{SECRET_MIN_BYTES, Secret, SecretError, Secrets},
    segment_key::{segment_key, segment_key_expiry, sign_playlist},
    signed_key::SignedKey,
};

/// The difference of two clocks up to which a time limit does not count, in seconds.
pub(crate) const LEEWAY_S: u64 = 30;

#[cfg(test)]
mod tests;
