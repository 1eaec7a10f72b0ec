//! Decisions, without services.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use synctv_media::access::{SECRET_MIN_BYTES, Secret, Secrets, SignedKey};

use super::*;
use crate::{
    access::request::Protocol,
    clock::unix_ms,
    testing::{node_keys, room},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 1))
}

fn closed() -> AccessSettings {
    AccessSettings {
        policy: Policy { publish: Openness::Closed, play: Openness::Closed },
        token_secrets: Some(Secrets::parse(SECRET).unwrap()),
        admin_token: Some(Secret::new(&[b'a'; SECRET_MIN_BYTES]).unwrap()),
        ..AccessSettings::OPEN
    }
}

fn gatekeeper(settings: AccessSettings) -> Gatekeeper {
    Gatekeeper::new(settings, node_keys())
}

fn token(room: &str, action: &str, extra: serde_json::Value) -> String {
    let mut payload = json!({ "room": room, "do": [action], "exp": unix_s() + 60 });
    payload.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &payload, &key).unwrap()
}

async fn publish(gatekeeper: &Gatekeeper, name: &str, query: &str) -> Result<Grant<ToPublish>, Refusal> {
    let room = room(name);
    gatekeeper.admit_publisher(&AccessRequest::rtmp(peer(1), &room, query, false)).await
}

async fn watch(gatekeeper: &Gatekeeper, name: &str, query: &str) -> Result<Grant<ToPlay>, Refusal> {
    let room = room(name);
    let request = AccessRequest::http(Protocol::HttpFlv, peer(2), &room, query, None, None);
    gatekeeper.admit_viewer(&request).await
}

#[actix_rt::test]
async fn with_nothing_set_anyone_publishes_and_watches() {
    let gatekeeper = gatekeeper(AccessSettings::OPEN);
    assert!(publish(&gatekeeper, "r", "").await.unwrap().begin().is_none());
    assert!(watch(&gatekeeper, "r", "token=nonsense").await.is_ok());
    assert!(gatekeeper.0.judge.visible_rooms(None, "").unwrap().is_all());
    let refused = gatekeeper.admit_administrator(Some("Bearer x"), None, peer(1)).await;
    assert!(refused.is_err());
}

#[actix_rt::test]
async fn a_token_opens_its_room_for_its_action() {
    let gatekeeper = gatekeeper(closed());
    let of_publisher = format!("token={}", token("r", "publish", json!({})));
    assert!(publish(&gatekeeper, "r", &of_publisher).await.is_ok());
    assert_eq!(publish(&gatekeeper, "s", &of_publisher).await.unwrap_err(), Refusal::WrongRoom);
    assert_eq!(watch(&gatekeeper, "r", &of_publisher).await.unwrap_err(), Refusal::NotAllowed);
    assert_eq!(watch(&gatekeeper, "r", "").await.unwrap_err(), Refusal::TokenMissing);
    assert_eq!(watch(&gatekeeper, "r", "token=x").await.unwrap_err(), Refusal::TokenInvalid);
}

#[actix_rt::test]
async fn a_key_opens_its_room_for_its_action() {
    let gatekeeper = gatekeeper(closed());
    let key = SignedKey::make(&Secret::new(SECRET.as_bytes()).unwrap(), Action::Publish, &room("r"), 0);
    let query = format!("key={key}");
    assert!(publish(&gatekeeper, "r", &query).await.is_ok());
    assert_eq!(publish(&gatekeeper, "s", &query).await.unwrap_err(), Refusal::TokenInvalid);
    assert_eq!(watch(&gatekeeper, "r", &query).await.unwrap_err(), Refusal::TokenInvalid);
}

#[actix_rt::test]
async fn a_token_that_an_encoder_cut_is_named_as_such() {
    let (gatekeeper, room) = (gatekeeper(closed()), room("r"));
    let request = AccessRequest::rtmp(peer(1), &room, "token=a.b.c", true);
    assert_eq!(gatekeeper.admit_publisher(&request).await.unwrap_err(), Refusal::TokenCut);
}

#[actix_rt::test]
async fn only_what_is_closed_needs_a_token() {
    let policy = Policy { publish: Openness::Closed, play: Openness::Open };
    let gatekeeper = gatekeeper(AccessSettings { policy, ..closed() });
    assert!(watch(&gatekeeper, "r", "").await.is_ok());
    assert_eq!(publish(&gatekeeper, "r", "").await.unwrap_err(), Refusal::TokenMissing);
}

#[actix_rt::test]
async fn a_token_limits_time_and_connections() {
    let gatekeeper = gatekeeper(closed());
    let query = format!("token={}", token("r", "play", json!({ "max": 1, "end": unix_s() + 100 })));
    let session = watch(&gatekeeper, "r", &query).await.unwrap().begin().unwrap();
    assert_eq!(watch(&gatekeeper, "r", &query).await.unwrap_err(), Refusal::TooManyConnections(1));
    assert_eq!(session.cut(), None);
    assert!(session.cut_at(unix_s() + 101).is_some());
    drop(session);
    assert!(watch(&gatekeeper, "r", &query).await.is_ok());
}

#[actix_rt::test]
async fn viewers_over_hls_count_as_connections() {
    let (gatekeeper, room) = (gatekeeper(closed()), room("r"));
    let query = format!("token={}", token("r", "play", json!({ "max": 1 })));
    let see = async |address: u8| {
        let request = AccessRequest::http(Protocol::Hls, peer(address), &room, &query, None, None);
        gatekeeper.admit_viewer(&request).await.map(drop)
    };
    assert_eq!(see(3).await, Ok(()));
    assert_eq!(see(3).await, Ok(()));
    assert_eq!(see(4).await, Err(Refusal::TooManyConnections(1)));
    assert_eq!(watch(&gatekeeper, "r", &query).await.unwrap_err(), Refusal::TooManyConnections(1));
}

#[actix_rt::test]
async fn a_revoked_token_opens_nothing_and_is_cut() {
    let gatekeeper = gatekeeper(closed());
    let query = format!("token={}", token("r", "play", json!({ "jti": "j" })));
    let session = watch(&gatekeeper, "r", &query).await.unwrap().begin().unwrap();
    let order = gatekeeper.date(Command::Revoke { token_id: "j".to_owned() });
    assert!(gatekeeper.obey(&order, unix_ms() + 60_000));
    assert!(session.cut().is_some());
    assert_eq!(watch(&gatekeeper, "r", &query).await.unwrap_err(), Refusal::Revoked);
}

#[actix_rt::test]
async fn a_blocked_room_is_not_published_even_if_publishing_is_open() {
    let gatekeeper = gatekeeper(AccessSettings::OPEN);
    let order = gatekeeper.date(Command::Block { room: room("r") });
    assert!(gatekeeper.obey(&order, unix_ms() + 60_000));
    assert_eq!(publish(&gatekeeper, "r", "").await.unwrap_err(), Refusal::Blocked);
    assert!(publish(&gatekeeper, "s", "").await.is_ok());
    assert!(watch(&gatekeeper, "r", "").await.is_ok());
}

#[actix_rt::test]
async fn segments_need_the_key_of_their_playlist_or_a_viewers_token() {
    let (gatekeeper, room) = (gatekeeper(closed()), room("r"));
    let ask = async |query: &str| {
        let request = AccessRequest::http(Protocol::Hls, peer(3), &room, query, None, None);
        gatekeeper.admit_segment(&request).await.map(drop)
    };
    let key = gatekeeper.nodes().segment_key(&room);
    assert_eq!(ask(&format!("key={key}")).await, Ok(()));
    assert_eq!(ask(&format!("token={}", token("r", "play", json!({})))).await, Ok(()));
    assert_eq!(ask("").await, Err(Refusal::TokenMissing));
    let of_other_room = gatekeeper.nodes().segment_key(&crate::testing::room("s"));
    assert_eq!(ask(&format!("key={of_other_room}")).await, Err(Refusal::TokenInvalid));
}

#[actix_rt::test]
async fn an_address_that_fails_too_often_is_slowed_and_valid_tokens_still_pass() {
    tokio::time::pause();
    let gatekeeper = gatekeeper(closed());
    let start = Instant::now();
    for _ in 0..10 {
        assert!(watch(&gatekeeper, "r", "token=x").await.is_err());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(watch(&gatekeeper, "r", "token=x").await.is_err());
    assert!(start.elapsed() >= SLOWED_BY);
    let query = format!("token={}", token("r", "play", json!({})));
    let before = Instant::now();
    assert!(watch(&gatekeeper, "r", &query).await.is_ok());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[actix_rt::test]
async fn administrators_have_the_token_or_one_that_says_so() {
    let gatekeeper = gatekeeper(closed());
    let of_administrator = format!("Bearer {}", "a".repeat(32));
    let room = room("r");
    let admit = async |authorization: Option<&str>, room: Option<&RoomName>| {
        gatekeeper.admit_administrator(authorization, room, peer(4)).await.map(drop)
    };
    assert_eq!(admit(Some(&of_administrator), None).await, Ok(()));
    assert_eq!(admit(None, None).await, Err(Refusal::TokenMissing));
    let limited = format!("Bearer {}", token("r", "admin", json!({})));
    assert_eq!(admit(Some(&limited), Some(&room)).await, Ok(()));
    assert_eq!(admit(Some(&limited), None).await, Err(Refusal::WrongRoom));
    let of_viewer = format!("Bearer {}", token("*", "play", json!({})));
    assert_eq!(admit(Some(&of_viewer), None).await, Err(Refusal::NotAllowed));
}

#[actix_rt::test]
async fn a_list_has_what_its_reader_may_see() {
    let gatekeeper = gatekeeper(closed());
    let sees = |query: &str| {
        let visible = gatekeeper.0.judge.visible_rooms(None, query).unwrap();
        ["a1", "a2", "b"].map(|name| visible.sees(&room(name)))
    };
    assert_eq!(sees(""), [false; 3]);
    assert_eq!(sees(&format!("token={}", token("a*", "list", json!({})))), [true, true, false]);
    assert_eq!(sees(&format!("token={}", token("a1", "play", json!({})))), [true, false, false]);
    assert_eq!(sees(&format!("token={}", token("*", "publish", json!({})))), [false; 3]);
    let of_administrator = format!("Bearer {}", "a".repeat(32));
    assert!(gatekeeper.0.judge.visible_rooms(Some(&of_administrator), "").unwrap().is_all());
    assert!(gatekeeper.0.judge.visible_rooms(None, "token=x").is_err());
}

#[actix_rt::test]
async fn only_a_signed_request_is_a_nodes() {
    let (gatekeeper, room) = (gatekeeper(AccessSettings::OPEN), room("r"));
    let request = NodeRequest { method: "GET", host: "h", path: "/r.flv" };
    let signature = gatekeeper.nodes().sign(&request);
    assert!(gatekeeper.admit_node(&room, &request, &signature, peer(5)).is_ok());
    assert_eq!(gatekeeper.admit_node(&room, &request, "me", peer(5)).unwrap_err(), Refusal::NotANode);
}

#[actix_rt::test]
async fn a_publisher_is_recognised_by_its_token_else_by_its_query_else_by_its_address() {
    let (closed, open) = (gatekeeper(closed()), gatekeeper(AccessSettings::OPEN));
    let known = async |gatekeeper: &Gatekeeper, query: &str| {
        let grant = publish(gatekeeper, "r", query).await.unwrap();
        grant.who().map(|who| who.expose().to_owned()).unwrap_or_default()
    };
    let with = |claims| format!("token={}", token("r", "publish", claims));
    assert_eq!(known(&closed, &with(json!({ "sub": "alice", "jti": "7" }))).await, "alice");
    assert_eq!(known(&closed, &with(json!({ "jti": "7" }))).await, "7");
    assert_eq!(known(&open, "key=1").await, "key=1");
    assert_eq!(known(&open, "").await, peer(1).ip().to_string());
}
