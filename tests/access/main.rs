//! Access to publishing, watching and administration: one module a promise.

mod administrators_disconnect;
mod callbacks_decide;
mod encoders_carry_credentials;
mod events_are_reported;
mod failures_are_slowed;
mod hls_segments_have_a_key;
mod nodes_share_a_secret;
mod providers_keys_verify;
mod proxies_name_their_clients;
mod secrets_are_not_shown;
mod settings_are_checked;
mod tokens_open_rooms;

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use synctv_media::{
    access::{Action, Secret, SignedKey},
    stream::room::RoomName,
};
use synctv_testkit::{
    http::{Response, request_with},
    rtmp::{Client, Refused, RtmpPeer},
    server::TestServer,
    socket::dial,
};

const SECRET: &str = "the secret of the tests which has 32 bytes or more";
const ADMIN_TOKEN: &str = "the administrator of the tests, 32 bytes or more";

/// Starts a server that is closed.
fn closed(flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--token-secret", SECRET, "--admin-token", ADMIN_TOKEN], flags].concat())
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

/// Signs a token for an hour, with further claims.
fn token(room: &str, action: &str, claims: Value) -> String {
    let mut payload = json!({ "room": room, "do": [action], "exp": unix_s() + 3600 });
    payload.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    encode(&Header::new(Algorithm::HS256), &payload, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Signs a key that lasts for ever.
fn key(room: &str, action: Action) -> String {
    let secret = Secret::new(SECRET.as_bytes()).unwrap();
    SignedKey::make(&secret, action, &RoomName::new(room).unwrap(), 0).to_string()
}

/// Publishes under a stream name, which may have a query.
fn publish(server: &TestServer, stream_name: &str) -> Result<RtmpPeer, Refused> {
    RtmpPeer::start(dial(server.rtmp), Client::publisher("live", stream_name))
}

/// Publishes a room with a valid token.
fn publish_allowed(server: &TestServer, room: &str) -> RtmpPeer {
    publish(server, &format!("{room}?token={}", token(room, "publish", json!({})))).expect("it is allowed")
}

/// Requests as an administrator.
fn administer(server: &TestServer, method: &str, path: &str) -> Response {
    let authorization = format!("Bearer {ADMIN_TOKEN}");
    request_with(server.http, method, path, &[("Authorization", &authorization)])
}
