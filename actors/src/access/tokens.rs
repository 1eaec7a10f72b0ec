//! Verification of tokens (JSON Web Tokens, RFC 7519), and a cache of those that were verified.

mod jwks;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use synctv_media::access::{Actions, Claims, Refusal, RoomPattern, Secrets};
use tokio::time::Instant;

pub(super) use self::jwks::KeySet;
use super::orders::NAME_MAX_BYTES;
use crate::bounded_cache::BoundedCache;

/// The longest token that is looked at, in bytes: more than an HTTP head or an RTMP command may be has no use.
const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// The time after which a verified token is verified again. Players ask for playlists with the same token every few seconds, and
/// an ES256 signature costs 50 us.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// Verified tokens that are remembered, some 300 bytes each: those of 5,000 playlists a second, asked for every 6 s by viewers
/// with a token each, and as many again.
const VERIFIED_MAX: usize = 60_000;

/// The SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

/// Verifies tokens.
pub(super) struct TokenVerifier {
    shared: Vec<DecodingKey>,
    provider: Option<Arc<KeySet>>,
    validation: Validation,
    verified: Mutex<BoundedCache<TokenHash, Verified>>,
}

struct Verified {
    claims: Arc<Claims>,
    until: Instant,
}

/// The claims, as tokens have them.
#[derive(Deserialize)]
struct Payload {
    room: Option<String>,
    #[serde(rename = "do", default)]
    actions: OneOrMany,
    /// NumericDate: it may have a fraction.
    exp: f64,
    nbf: Option<f64>,
    end: Option<f64>,
    sub: Option<String>,
    jti: Option<String>,
    max: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl TokenVerifier {
    /// Verifies with `secrets` and the keys of an identity provider. `issuer` and `audience` are compared if they are
    /// set; else a token may have any.
    pub fn new(
        secrets: Option<&Secrets>,
        provider: Option<Arc<KeySet>>,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are judged with the claims, at every look.
        validation.validate_exp = false;
        validation.validate_aud = audience.is_some();
        let mut required = vec!["exp"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let shared = secrets.into_iter().flat_map(Secrets::iter);
        let shared = shared.map(|secret| DecodingKey::from_secret(secret.expose())).collect();
        Self { shared, provider, validation, verified: Mutex::new(BoundedCache::new(VERIFIED_MAX)) }
    }

    /// Verifies a token's signature and returns its claims, which are not judged yet.
    pub fn verify(&self, token: &str, hash: &TokenHash, now: Instant) -> Result<Arc<Claims>, Refusal> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Refusal::TokenInvalid);
        }
        if let Some(claims) = self.remembered(hash, now) {
            return Ok(claims);
        }
        let claims = Arc::new(self.verify_anew(token)?);
        self.remember(*hash, claims.clone(), now);
        Ok(claims)
    }

    fn verify_anew(&self, token: &str) -> Result<Claims, Refusal> {
        // Reads `alg` too, of which "none" is not one.
        let header = decode_header(token).map_err(|_| Refusal::TokenInvalid)?;
        if header.alg == Algorithm::HS256 {
            let keys = self.shared.iter();
            return keys
                .filter_map(|key| self.claims(token, key, header.alg).ok())
                .next()
                .ok_or(Refusal::TokenInvalid);
        }
        let (Some(provider), Some(key_id)) = (&self.provider, &header.kid) else {
            return Err(Refusal::TokenInvalid);
        };
        let key = provider.find(key_id, header.alg)?;
        self.claims(token, &key, header.alg)
    }

    fn claims(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, Refusal> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![algorithm];
        let payload = decode::<Payload>(token, key, &validation).map_err(|_| Refusal::TokenInvalid)?.claims;
        let words = match payload.actions {
            // Some libraries write lists as OAuth's scopes are: in one text.
            OneOrMany::One(words) => words.split([' ', ',']).map(ToOwned::to_owned).collect(),
            OneOrMany::Many(words) => words,
        };
        Ok(Claims {
            room: payload
                .room
                .and_then(|room| RoomPattern::parse(&room).ok())
                .ok_or(Refusal::TokenInvalid)?,
            actions: words.iter().fold(Actions::default(), |actions, word| actions.with_word(word)),
            expires_unix_s: seconds(payload.exp),
            not_before_unix_s: payload.nbf.map(seconds),
            ends_unix_s: payload.end.map(seconds),
            subject: payload.sub.map(name).transpose()?,
            token_id: payload.jti.map(name).transpose()?,
            connections_max: payload.max,
        })
    }

    fn remembered(&self, hash: &TokenHash, now: Instant) -> Option<Arc<Claims>> {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(hash).filter(|verified| verified.until > now).map(|verified| verified.claims.clone())
    }

    fn remember(&self, hash: TokenHash, claims: Arc<Claims>, now: Instant) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.make_room(|verified| verified.until > now);
        verified.insert(hash, Verified { claims, until: now + VERIFIED_FOR });
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").finish_non_exhaustive()
    }
}

/// The hash by which a token is remembered and, in part, named in logs.
pub(super) fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// A NumericDate in whole seconds. Dates that no clock reaches saturate.
fn seconds(date: f64) -> u64 {
    date as u64
}

/// A name by which connections are counted and tokens revoked. One that is too long for an order is refused: cut, it would be
/// the name of others too.
fn name(text: String) -> Result<String, Refusal> {
    if text.len() <= NAME_MAX_BYTES { Ok(text) } else { Err(Refusal::TokenInvalid) }
}

#[cfg(test)]
mod tests;
