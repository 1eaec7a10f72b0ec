//! What a decision costs: for a join with a new token, and for a playlist or segment whose viewer is known.
//!
//! ```text
//! cargo bench -p synctv-actors --bench access
//! ```

use std::net::SocketAddr;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::FutureExt;
use synctv_actors::access::{
    AccessRequest, AccessSettings, Gatekeeper, NodeKeys, Protocol, TokenRequest, make_token,
};
use synctv_media::{
    access::{Action, Openness, Policy, RoomPattern, Secret, Secrets, SignedKey},
    stream::room::RoomName,
};

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

/// Decides on a viewer, as a port does, and lets it go again.
fn join(gatekeeper: &Gatekeeper, room: &RoomName, protocol: Protocol, query: &str) {
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let request = AccessRequest::http(protocol, peer, room, query, None, None);
    let granted = gatekeeper.admit_viewer(&request).now_or_never().expect("nobody is asked");
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
    let query = format!("key={}", SignedKey::make(&secret(), Action::Play, &room, 0));
    group.bench_function("join, signed key", |b| b.iter(|| join(&closed, &room, Protocol::HttpFlv, &query)));
    let query = format!("token={}", token(0));
    let known = gatekeeper(Policy { publish: Openness::Closed, play: Openness::Closed });
    group.bench_function("playlist, known token", |b| b.iter(|| join(&known, &room, Protocol::Hls, &query)));
    let query = format!("key={}", closed.nodes().segment_key(&room));
    group.bench_function("segment, its key", |b| {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let request = AccessRequest::http(Protocol::Hls, peer, &room, &query, None, None);
        b.iter(|| closed.admit_segment(&request).now_or_never().expect("nobody is asked").is_ok());
    });
    group.finish();
}

criterion_group!(benches, access);
criterion_main!(benches);
