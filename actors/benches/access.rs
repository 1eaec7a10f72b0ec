//! The cost of a decision: for a join with a new token, and for a playlist or segment whose viewer is known.
//!
//! ```text
//! cargo bench -p synctv-actors --bench access
//! ```

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use synctv_actors::access::{
    AccessRequest, AccessSettings, Gatekeeper, NodeKeys, Protocol, ServiceUrl, TokenRequest, make_token,
};
use synctv_media::{
    access::{Action, Openness, Policy, RoomPattern, Secret, Secrets, SignedKey},
    stream::room::RoomName,
};

/// Made for tests, and used nowhere else.
const PROVIDERS_KEY: &[u8] = include_bytes!("../src/access/tokens/test_keys/p256.der");
const PROVIDERS_KEY_SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256",
    "x":"2X_LJHuIknnqwcVkt3v1z4hHA-xJmI4XyMb8fIJVR4A","y":"CVdIG7gISAn6PvFBBtPda1drt9UgPKDdkmZhVrY_P-8"}]}"#;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn secret() -> Secret {
    Secret::new(SECRET.as_bytes()).expect("it is long enough")
}

fn gatekeeper(policy: Policy) -> Gatekeeper {
    let token_secrets = Secrets::parse(SECRET).ok();
    let nodes = NodeKeys::random("bench").expect("there are random numbers");
    Gatekeeper::new(AccessSettings { policy, token_secrets, ..AccessSettings::OPEN }, nodes)
}

/// A token that differs from every other one.
fn token(at: u64) -> String {
    let (room, name) = (RoomPattern::parse("room").expect("a room"), at.to_string());
    let request = TokenRequest {
        room: &room,
        actions: &[Action::Play],
        expires_unix_s: u64::MAX >> 12,
        subject: Some("somebody"),
        token_id: Some(&name),
        connections_max: None,
    };
    make_token(&secret(), &request).expect("it is signed")
}

/// A token of an identity provider that differs from every other one.
fn providers_token(at: u64) -> String {
    let payload =
        serde_json::json!({ "room": "room", "do": ["play"], "exp": u64::MAX >> 12, "jti": at.to_string() });
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &payload, &EncodingKey::from_ec_der(PROVIDERS_KEY)).expect("it is signed")
}

/// A gatekeeper that has fetched an identity provider's keys.
async fn with_provider() -> Gatekeeper {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 4096]);
            let length = PROVIDERS_KEY_SET.len();
            let _ = write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{PROVIDERS_KEY_SET}");
        }
    });
    let gatekeeper = Gatekeeper::new(
        AccessSettings {
            policy: Policy { publish: Openness::Closed, play: Openness::Closed },
            token_keys: ServiceUrl::parse(&url).ok(),
            ..AccessSettings::OPEN
        },
        NodeKeys::random("bench").expect("there are random numbers"),
    );
    let (room, query) = (RoomName::new("room").expect("a name"), format!("token={}", providers_token(0)));
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let request = AccessRequest::http(Protocol::Hls, peer, &room, &query, None, None);
    while gatekeeper.admit_viewer(&request).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gatekeeper
}

/// Decides on a viewer, as a port does, and lets it go again.
fn join(gatekeeper: &Gatekeeper, room: &RoomName, protocol: Protocol, query: &str) {
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let request = AccessRequest::http(protocol, peer, room, query, None, None);
    let granted = gatekeeper.admit_viewer(&request).now_or_never().expect("no callback is asked");
    drop(granted.expect("it is allowed").begin());
}

fn access(c: &mut Criterion) {
    let room = RoomName::new("room").expect("a name");
    let closed = gatekeeper(Policy { publish: Openness::Closed, play: Openness::Closed });
    let open = gatekeeper(Policy::OPEN);
    let mut group = c.benchmark_group("access");
    group.bench_function("join, open", |b| b.iter(|| join(&open, &room, Protocol::HttpFlv, "")));
    let mut at = 0;
    group.bench_function("join, new HS256 token", |b| {
        let make = || {
            at += 1;
            format!("token={}", token(at))
        };
        b.iter_batched(make, |query| join(&closed, &room, Protocol::HttpFlv, &query), BatchSize::SmallInput);
    });
    let system = actix_rt::System::new();
    let of_provider = system.block_on(with_provider());
    group.bench_function("join, new ES256 token", |b| {
        let make = || {
            at += 1;
            format!("token={}", providers_token(at))
        };
        b.iter_batched(
            make,
            |query| join(&of_provider, &room, Protocol::HttpFlv, &query),
            BatchSize::SmallInput,
        );
    });
    let query = format!("key={}", SignedKey::make(&secret(), Action::Play, &room, 0));
    group.bench_function("join, signed key", |b| b.iter(|| join(&closed, &room, Protocol::HttpFlv, &query)));
    let query = format!("token={}", token(0));
    let known = gatekeeper(Policy { publish: Openness::Closed, play: Openness::Closed });
    group.bench_function("playlist, known token", |b| b.iter(|| join(&known, &room, Protocol::Hls, &query)));
    let query = format!("key={}", closed.nodes().segment_key(&room));
    group.bench_function("segment, its key", |b| {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let request = AccessRequest::http(Protocol::Hls, peer, &room, &query, None, None);
        b.iter(|| closed.admit_segment(&request).now_or_never().expect("no callback is asked").is_ok());
    });
    group.finish();
}

criterion_group!(benches, access);
criterion_main!(benches);
