//! Tokens that are and are not verified. The keys in `test_keys` are for these tests only.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use synctv_media::access::{Action, RoomPattern};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).unwrap()
}

fn verifier() -> TokenVerifier {
    TokenVerifier::new(Some(&secrets(SECRET)), None, None, None)
}

fn payload() -> Value {
    json!({ "room": "r", "do": ["play"], "exp": NOW })
}

fn signed(payload: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), payload, &key).unwrap()
}

fn verify(verifier: &TokenVerifier, token: &str) -> Result<Arc<Claims>, Refusal> {
    verifier.verify(token, &token_hash(token), Instant::now())
}

/// A key of an identity provider: its algorithms, its private half, and the set that has its public half.
fn provided(algorithm: Algorithm, kid: &str) -> (EncodingKey, Value) {
    let key = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(include_bytes!("test_keys/p256.der")),
        Algorithm::ES384 => EncodingKey::from_ec_der(include_bytes!("test_keys/p384.der")),
        Algorithm::EdDSA => EncodingKey::from_ed_der(include_bytes!("test_keys/ed25519.der")),
        _ => EncodingKey::from_rsa_der(include_bytes!("test_keys/rsa2048.der")),
    };
    let mut public = match algorithm {
        Algorithm::ES256 => json!({
            "kty": "EC", "crv": "P-256", "x": "2X_LJHuIknnqwcVkt3v1z4hHA-xJmI4XyMb8fIJVR4A",
            "y": "CVdIG7gISAn6PvFBBtPda1drt9UgPKDdkmZhVrY_P-8",
        }),
        Algorithm::ES384 => json!({
            "kty": "EC", "crv": "P-384",
            "x": "pJhy88xulro2jn3zInT0Ipeq_fUQCJM5mG9YglxPMWBeLgjzyt1Rg_61BDx-zCMV",
            "y": "Yfz8BcX6nGKR7P0TGGtABPFb6fR-NrImN0oyscPtQzQFG95lPaq3IbyKXTiKNTdd",
        }),
        Algorithm::EdDSA => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "zuqhHtIFXCHHH4SOQ7QsIfZzRO9hDdbGhP4mJvtx1Qk" })
        }
        _ => json!({ "kty": "RSA", "e": "AQAB", "n": RSA_MODULUS }),
    };
    public["kid"] = json!(kid);
    (key, public)
}

const RSA_MODULUS: &str = "xCruSGZ7QhNMHUzQNLZq0TMyiPsCFLY3vknczvtpu05X6Dbx-c29IIDiX1KKnxJKa0Ua2ZRFlYjNPV45Rqpj5txN-pqRERVoDjJcG-_uk03Jfa7kJo-0SAdHZGqekpQWjPVgBjJAoNvKEi6IAgryQc9TUo7-0tWZlgRnW3QYe3ynr57CT1XKjA3znj-JVSkTW2HyRDDKF-0FOcL5cUJqJHAN5JGvA4nP4FWZf_8Sh3ePrVZ1IU2TgD468b7-Vn4VoGoPzqCKfZxLc1y4Cf9064RF70T3YlugTPPNT5sBCARl73Iby87gFcjLMLJeqiMxnGK0mAqkZuOe-_wtrWdKvQ";

fn signed_with(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(ToOwned::to_owned), ..Header::new(algorithm) };
    encode(&header, &payload(), key).unwrap()
}

#[test]
fn the_claims_of_a_token_are_read() {
    let token = signed(&json!({
        "room": "a*", "do": ["play", "publish"], "exp": NOW as f64 + 0.5, "nbf": 5, "end": NOW + 9, "sub": "s",
        "jti": "j", "max": 2, "iss": "anyone", "aud": ["anything"], "more": {},
    }));
    let expected = Claims {
        room: RoomPattern::parse("a*").unwrap(),
        actions: Actions::default().with(Action::Play).with(Action::Publish),
        expires_unix_s: NOW,
        not_before_unix_s: Some(5),
        ends_unix_s: Some(NOW + 9),
        subject: Some("s".to_owned()),
        token_id: Some("j".to_owned()),
        connections_max: Some(2),
    };
    assert_eq!(*verify(&verifier(), &token).unwrap(), expected);
}

#[test]
fn actions_may_be_one_text() {
    let token = signed(&json!({ "room": "r", "do": "play list", "exp": NOW }));
    let actions = verify(&verifier(), &token).unwrap().actions;
    assert!(actions.contains(Action::Play) && actions.contains(Action::List));
}

#[test]
fn tokens_that_say_too_little_or_nonsense_are_invalid() {
    for payload in [
        json!({ "room": "r", "do": ["play"] }),
        json!({ "do": ["play"], "exp": NOW }),
        json!({ "room": "a/b", "do": ["play"], "exp": NOW }),
        json!({ "room": "r", "do": 7, "exp": NOW }),
        json!({ "room": "r", "do": ["play"], "exp": "tomorrow" }),
        json!({ "room": "r", "do": ["play"], "exp": NOW, "jti": "x".repeat(NAME_MAX_BYTES + 1) }),
        json!({ "room": "r", "do": ["play"], "exp": NOW, "sub": "x".repeat(NAME_MAX_BYTES + 1) }),
    ] {
        assert_eq!(verify(&verifier(), &signed(&payload)), Err(Refusal::TokenInvalid), "{payload}");
    }
}

#[test]
fn only_the_algorithm_that_is_meant_verifies() {
    let token = signed(&payload());
    assert!(verify(&verifier(), &token).is_ok());
    let other =
        encode(&Header::new(Algorithm::HS512), &payload(), &EncodingKey::from_secret(SECRET.as_bytes()))
            .unwrap();
    assert_eq!(verify(&verifier(), &other), Err(Refusal::TokenInvalid));
    // {"alg":"none"}
    let body = token.split('.').nth(1).unwrap();
    for none in [format!("eyJhbGciOiJub25lIn0.{body}."), format!("eyJhbGciOiJub25lIn0.{body}.AA")] {
        assert_eq!(verify(&verifier(), &none), Err(Refusal::TokenInvalid));
    }
    for text in ["", ".", "..", "a.b.c", &"x".repeat(20_000)] {
        assert_eq!(verify(&verifier(), text), Err(Refusal::TokenInvalid), "{text:.20}");
    }
}

#[test]
fn every_secret_of_the_list_verifies() {
    let list = secrets(&format!("{},{SECRET}", "x".repeat(40)));
    assert!(verify(&TokenVerifier::new(Some(&list), None, None, None), &signed(&payload())).is_ok());
    let other = secrets(&"x".repeat(40));
    let refused = verify(&TokenVerifier::new(Some(&other), None, None, None), &signed(&payload()));
    assert_eq!(refused, Err(Refusal::TokenInvalid));
}

#[test]
fn issuer_and_audience_are_compared_if_they_are_set() {
    let token = |extra: Value| {
        let mut payload = payload();
        payload.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        signed(&payload)
    };
    let strict = TokenVerifier::new(Some(&secrets(SECRET)), None, Some("me"), Some("tv"));
    assert!(verify(&strict, &token(json!({ "iss": "me", "aud": ["tv", "x"] }))).is_ok());
    for extra in [json!({ "iss": "me" }), json!({ "aud": "tv" }), json!({ "iss": "you", "aud": "tv" })] {
        assert_eq!(verify(&strict, &token(extra)), Err(Refusal::TokenInvalid));
    }
}

#[test]
fn a_providers_keys_verify_by_their_names() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
    for algorithm in [ES256, ES384, RS256, PS256, EdDSA] {
        let (key, public) = provided(algorithm, "k1");
        let keys = Arc::new(KeySet::default());
        let verifier = TokenVerifier::new(Some(&secrets(SECRET)), Some(keys.clone()), None, None);
        let token = signed_with(&key, algorithm, Some("k1"));
        assert_eq!(verify(&verifier, &token), Err(Refusal::Unavailable), "no keys yet");
        assert_eq!(keys.replace(json!({ "keys": [public] }).to_string().as_bytes()), Ok(1));
        assert!(verify(&verifier, &token).is_ok(), "{algorithm:?}");
        assert!(!keys.take_missed());
        let unknown = signed_with(&key, algorithm, Some("k2"));
        assert_eq!(verify(&verifier, &unknown), Err(Refusal::TokenInvalid));
        assert!(keys.take_missed() && !keys.take_missed());
        assert_eq!(verify(&verifier, &signed_with(&key, algorithm, None)), Err(Refusal::TokenInvalid));
    }
}

#[test]
fn a_key_is_used_for_its_own_algorithm_only() {
    let (_, public) = provided(Algorithm::ES256, "k1");
    let keys = Arc::new(KeySet::default());
    keys.replace(json!({ "keys": [public] }).to_string().as_bytes()).unwrap();
    let verifier = TokenVerifier::new(None, Some(keys), None, None);
    // The public key, taken for a secret.
    let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    let secret = EncodingKey::from_secret(public_bytes().as_bytes());
    assert_eq!(verify(&verifier, &encode(&header, &payload(), &secret).unwrap()), Err(Refusal::TokenInvalid));
    let (rsa, _) = provided(Algorithm::RS256, "k1");
    assert_eq!(
        verify(&verifier, &signed_with(&rsa, Algorithm::RS256, Some("k1"))),
        Err(Refusal::TokenInvalid)
    );
}

fn public_bytes() -> String {
    provided(Algorithm::ES256, "k1").1["x"].as_str().unwrap().to_owned()
}

#[test]
fn sets_without_a_key_of_use_are_refused_and_others_are_taken_in_part() {
    let keys = KeySet::default();
    for set in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-521","x":"AA","y":"AA","kid":"k1"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}"#,
    ] {
        assert!(keys.replace(set.as_bytes()).is_err(), "{set}");
    }
    let (_, public) = provided(Algorithm::ES256, "k1");
    let mixed = json!({ "keys": [{ "kty": "moon" }, public, 7] });
    assert_eq!(keys.replace(mixed.to_string().as_bytes()), Ok(1));
    assert!(keys.replace(b"nonsense").is_err());
    assert!(keys.find("k1", Algorithm::ES256).is_ok(), "the last good set stays");
}

#[test]
fn what_was_verified_is_remembered_for_a_while() {
    let (verifier, token, now) = (verifier(), signed(&payload()), Instant::now());
    let hash = token_hash(&token);
    verifier.verify(&token, &hash, now).unwrap();
    // Only its hash is looked at.
    assert!(verifier.verify("another", &hash, now + VERIFIED_FOR / 2).is_ok());
    assert!(verifier.verify("another", &hash, now + VERIFIED_FOR).is_err());
}
