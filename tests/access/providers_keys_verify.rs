//! Tokens of an identity provider are verified with its published keys, which may change and may be away.

use std::sync::{Arc, Mutex};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use synctv_testkit::{metrics::Scrape, server::TestServer, service::Service, wait::poll_until};

use crate::{publish, unix_s};

/// Made for tests, and used nowhere else.
const PRIVATE: &[u8] = include_bytes!("../../actors/src/access/tokens/test_keys/p256.der");

fn key_set(kid: &str) -> String {
    json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
        "x": "2X_LJHuIknnqwcVkt3v1z4hHA-xJmI4XyMb8fIJVR4A",
        "y": "CVdIG7gISAn6PvFBBtPda1drt9UgPKDdkmZhVrY_P-8",
    }]})
    .to_string()
}

fn token(kid: &str) -> String {
    let payload = json!({ "room": "*", "do": ["publish"], "exp": unix_s() + 60 });
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &payload, &EncodingKey::from_ec_der(PRIVATE)).unwrap()
}

#[test]
fn keys_are_fetched_and_fetched_anew_for_a_new_name() {
    let set = Arc::new(Mutex::new(Some((200, key_set("k1")))));
    let served = set.clone();
    let provider = Service::start(move |_| served.lock().unwrap().clone());
    let server = TestServer::start(&["--token-jwks-url", &provider.url(), "--metrics-addr", "127.0.0.1:0"]);
    let try_publish = |kid: &str| publish(&server, &format!("{kid}?token={}", token(kid)));
    let mut publisher = poll_until("the keys are there", || try_publish("k1").ok());
    assert!(Scrape::of(server.metrics()).value("synctv_auth_jwks_age_seconds") >= 0.0);
    publisher.send(&synctv_testkit::frames::video_header(1));
    assert_eq!(try_publish("k2").expect_err("it is unknown").description, "the token is invalid");
    *set.lock().unwrap() = Some((200, key_set("k2")));
    poll_until("the new key is there", || try_publish("k2").ok());
    // A failure does not remove the keys that were there.
    *set.lock().unwrap() = Some((500, String::new()));
    assert_eq!(try_publish("k3").expect_err("it is unknown").description, "the token is invalid");
    server.log.find("the failure", |line| line.text("msg") == "token keys cannot be fetched");
    publish(&server, &format!("again?token={}", token("k2"))).expect("the old keys stay");
}

#[test]
fn without_any_keys_nothing_is_decided() {
    let provider = Service::start(|_| None);
    let server = TestServer::start(&["--token-jwks-url", &provider.url(), "--metrics-addr", "127.0.0.1:0"]);
    let refused = publish(&server, &format!("r?token={}", token("k1"))).expect_err("there are no keys");
    assert_eq!(refused.description, "access cannot be decided now, retry");
    assert_eq!(Scrape::of(server.metrics()).get("synctv_auth_jwks_age_seconds"), None, "there are none");
}
