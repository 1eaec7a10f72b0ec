//! The public keys of an identity provider (JSON Web Key Set, RFC 7517).

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde_json::Value;
use synctv_media::access::Refusal;

/// Keys of a set that are kept.
const KEYS_MAX: usize = 64;

/// The keys that were fetched last. They stay while fetching fails.
#[derive(Default)]
pub(crate) struct KeySet {
    /// `None` until the first fetch has succeeded.
    keys: RwLock<Option<HashMap<String, Key>>>,
    /// A token named a key that is not there.
    is_missed: AtomicBool,
}

struct Key {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl KeySet {
    /// Finds the key that a token names. While there are none at all, nothing can be decided.
    pub fn find(&self, key_id: &str, algorithm: Algorithm) -> Result<DecodingKey, Refusal> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        match keys.as_ref().map(|keys| keys.get(key_id)) {
            Some(Some(found)) if found.algorithms.contains(&algorithm) => Ok(found.key.clone()),
            Some(Some(_)) => Err(Refusal::TokenInvalid),
            Some(None) => {
                self.is_missed.store(true, Ordering::Relaxed);
                Err(Refusal::TokenInvalid)
            }
            None => Err(Refusal::Unavailable),
        }
    }

    /// Returns whether a key was missed since this was last asked.
    pub fn take_missed(&self) -> bool {
        self.is_missed.swap(false, Ordering::Relaxed)
    }

    /// Takes a set that was fetched. Keys that cannot be used are left out; returns how many can.
    pub fn replace(&self, json: &[u8]) -> Result<usize, &'static str> {
        let set: Value = serde_json::from_slice(json).map_err(|_| "it is no JSON")?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("it has no list of keys")?;
        let keys: HashMap<_, _> = listed.iter().filter_map(usable).take(KEYS_MAX).collect();
        if keys.is_empty() {
            return Err("none of its keys can be used");
        }
        let count = keys.len();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        Ok(count)
    }
}

/// A key that signs and has a name. Symmetric keys are not public, so a set that has one is no reason to trust it.
fn usable(json: &Value) -> Option<(String, Key)> {
    let jwk: Jwk = serde_json::from_value(json.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let possible: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => return None,
    };
    let named = json.get("alg").and_then(Value::as_str).map(Algorithm::from_str);
    let is_meant = |algorithm: &Algorithm| named.as_ref().is_none_or(|named| named.as_ref() == Ok(algorithm));
    let algorithms: Vec<_> = possible.iter().copied().filter(is_meant).collect();
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Key { key, algorithms })).filter(|(_, key)| !key.algorithms.is_empty())
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").finish_non_exhaustive()
    }
}
