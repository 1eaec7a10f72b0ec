//! Against a redis-server of their own.

mod in_memory;
mod lost_data;
mod other_data;
mod redis_server;

use actix::{Actor, Context, Handler};
use synctv_media::cluster::{
    claims::LeaseAnswer,
    numbers::{HlsNumbers, NumberUse},
    process::Process,
    standing::NodeStanding,
};
use tokio::time::Instant;

use self::redis_server::Redis;
use super::*;
use crate::{
    cluster::registry::{ClaimLost, Claimed, RegistryHandle},
    testing::{PATIENCE, poll_until, room},
};

/// Outlasts every test.
const LEASE_TTL: Duration = Duration::from_secs(600);

async fn query<T: redis::FromRedisValue>(store: &RedisStore, command: &str) -> T {
    let words: Vec<&str> = command.split(' ').collect();
    let run = store.0.pool.run(async |link| {
        let mut call = redis::cmd(words[0]);
        call.arg(&words[1..]).query_async(&mut **link).await
    });
    run.await.unwrap()
}

/// Puts a row into the table.
async fn write(store: &RedisStore, field: &str, row: &str) {
    let written = store.0.pool.run(async |link| {
        redis::cmd("HSET").arg("synctv:claims").arg(field).arg(row).exec_async(&mut **link).await
    });
    written.await.unwrap();
}

/// Has claims, and loses none.
struct Owner;

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<ClaimLost> for Owner {
    type Result = ();

    fn handle(&mut self, lost: ClaimLost, _: &mut Self::Context) {
        panic!("lost {lost:?}");
    }
}

fn is_unavailable(answer: &Result<Granted, ClaimError>) -> bool {
    matches!(answer, Err(ClaimError::Unavailable { .. }))
}

const NO_NUMBERS: NumberUse =
    NumberUse { first_sequence: 0, limit: HlsNumbers { sequence: 0, discontinuity: 0 } };

fn unused(claim: &Claim) -> UsedClaim {
    UsedClaim { claim: claim.clone(), used: NO_NUMBERS }
}

/// The lease of `node` lapses: it is removed from both places.
async fn lapse(store: &RedisStore, node: &str) {
    query::<i64>(store, &format!("DEL node:{node}")).await;
    query::<i64>(store, &format!("HDEL synctv:claims n:{node}")).await;
}

async fn lease_answer(store: &RedisStore) -> LeaseAnswer {
    store.renew_lease().await.unwrap().answer
}

#[actix_rt::test]
async fn of_all_claimants_of_a_room_on_all_nodes_exactly_one_wins() {
    let redis = Redis::start().await;
    let mut nodes = Vec::new();
    for (node, incarnation) in [("n1", 1), ("n2", 2), ("n3", 3)] {
        let joined = redis.join(node, incarnation).await;
        nodes.push(RegistryHandle::start_on(
            &actix_rt::Arbiter::current(),
            Duration::from_secs(60),
            move || RedisStore::new(&joined),
        ));
    }
    let owner = Owner.start();
    for index in 0..50 {
        let name = format!("r{index}");
        let claims =
            (0..20).flat_map(|_| &nodes).map(|node| node.claim(room(&name), None, owner.clone().recipient()));
        let answers = futures::future::join_all(claims).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{name}");
        let taken = |answer: &&Result<Claimed, ClaimError>| matches!(answer, Err(ClaimError::Taken { .. }));
        assert_eq!(answers.iter().filter(taken).count(), 59, "{name}: {answers:?}");
    }
    assert_eq!(nodes[0].rooms().await.unwrap().len(), 50);
}

#[actix_rt::test]
async fn entries_are_as_documented_and_deleted_on_release() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 7).await;
    let claim = store.claim(&room("r"), None).await.unwrap().claim;
    let fields: Vec<String> = query(&store, "HMGET stream:r publisher_node epoch incarnation").await;
    assert_eq!(fields, ["n1".to_owned(), claim.epoch.to_string(), "7".to_owned()]);
    let (claim_ms, lease_ms): (i64, i64) =
        (query(&store, "PTTL stream:r").await, query(&store, "PTTL node:n1").await);
    assert!((1..=300_000).contains(&claim_ms), "{claim_ms}");
    assert!((1..=LEASE_TTL.as_millis() as i64).contains(&lease_ms), "{lease_ms}");
    assert_eq!(query::<Vec<String>>(&store, "KEYS stream:*").await, ["stream:r"]);
    query::<i64>(&store, "PEXPIRE stream:r 5000").await;
    assert_eq!(store.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert!(query::<i64>(&store, "PTTL stream:r").await > 5000, "a heartbeat renews it");
    store.leave(vec![claim]).await.unwrap();
    let mut left: Vec<String> = query(&store, "KEYS *").await;
    left.sort();
    assert_eq!(left, ["claim_epoch", "synctv:numbers:r"]);
    let numbers_ms: i64 = query(&store, "PTTL synctv:numbers:r").await;
    assert!((1..4_000_000).contains(&numbers_ms), "{numbers_ms}");
}

#[actix_rt::test]
async fn a_room_is_found_from_other_nodes_for_as_long_as_its_node_lives() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    let origin = n2.locate(&room("r")).await.unwrap().unwrap();
    assert_eq!((origin.node.as_str(), origin.epoch), ("n1", claim.epoch));
    assert_eq!(origin.addresses.hls.as_deref(), Some("n1:8081"));
    assert_eq!(n1.locate(&room("r")).await.unwrap(), None, "its own");
    assert_eq!(n2.locate(&room("other")).await.unwrap(), None);
    lapse(&n1, "n1").await;
    assert_eq!(n2.trace(&room("r"), true).await.unwrap().current, None);
    assert_eq!(n2.rooms().await.unwrap(), []);
}

#[actix_rt::test]
async fn a_restarted_node_takes_its_name_and_rooms_before_its_lease_lapses() {
    let redis = Redis::start().await;
    let lease_ttl = Duration::from_secs(12);
    let join_as = async |incarnation| {
        let membership = Membership { lease_ttl, ..redis.membership("n1", incarnation) };
        RedisStore::new(&join(membership, Instant::now() + PATIENCE).await.unwrap())
    };
    let before = join_as(1).await;
    before.claim(&room("r"), None).await.unwrap();
    let row: String = query(&before, "HGET synctv:claims n:n1").await;
    let until_ms: u64 = row.split(' ').nth(1).unwrap().parse().unwrap();
    let after = join_as(2).await;
    let now_s: Vec<u64> = query(&after, "TIME").await;
    assert!(now_s[0] * 1000 < until_ms, "it did not wait for the end of the lease");
    assert!(after.claim(&room("r"), None).await.is_ok());
    assert!(matches!(lease_answer(&before).await, LeaseAnswer::Lost(lease) if lease.incarnation == 2));
}

#[actix_rt::test]
async fn a_process_that_was_upgraded_has_its_lease_without_a_wait() {
    let redis = Redis::start().await;
    let before = redis.node("n1", 1).await;
    // The wait would be half of the lease's time, which is longer.
    let joined = tokio::time::timeout(PATIENCE, redis.node("n1", 1)).await;
    assert!(joined.is_ok());
    assert_eq!(lease_answer(&before).await, LeaseAnswer::Kept);
}

/// Refuses to join as another process while `live` renews its lease.
async fn refused(live: &RedisStore, membership: Membership) -> String {
    let renewed = async {
        loop {
            live.renew_lease().await.unwrap();
        }
    };
    let refused = tokio::select! {
        joined = join(membership, Instant::now() + PATIENCE) => joined.unwrap_err(),
        () = renewed => unreachable!("it has no end"),
    };
    assert_eq!(lease_answer(live).await, LeaseAnswer::Kept);
    refused.to_string()
}

#[actix_rt::test]
async fn a_name_in_use_is_refused_and_one_that_lapses_is_taken() {
    let redis = Redis::start().await;
    let live = redis.node("n1", 1).await;
    let mut elsewhere = redis.membership("n1", 2);
    elsewhere.addresses.rtmp = "elsewhere:1935".to_owned();
    let why = refused(&live, elsewhere.clone()).await;
    assert!(why.contains("NODE_ID=n1") && why.contains("n1:1935"), "{why}");
    lapse(&live, "n1").await;
    join(elsewhere, Instant::now() + PATIENCE).await.unwrap();
}

/// Hosts with the same private address.
#[actix_rt::test]
async fn a_name_in_use_is_refused_also_to_a_process_with_the_same_addresses() {
    let redis = Redis::start().await;
    let live = redis.node("n1", 1).await;
    live.claim(&room("r"), None).await.unwrap();
    let why = refused(&live, redis.membership("n1", 2)).await;
    let words = ["NODE_ID=n1", "n1:1935", "n1:8080", "ADVERTISE_HOST"];
    assert!(words.iter().all(|word| why.contains(word)), "{why}");
}

#[actix_rt::test]
async fn a_room_s_past_is_traced_over_all_that_had_it() {
    let redis = Redis::start().await;
    let (n1, n2, n3) = (redis.node("n1", 1).await, redis.node("n2", 2).await, redis.node("n3", 3).await);
    let first = n1.claim(&room("r"), None).await.unwrap();
    assert!(
        n1.reserve(UsedClaim {
            claim: first.claim.clone(),
            used: NumberUse {
                first_sequence: first.numbers.first.sequence,
                limit: first.numbers.limit.plus(900)
            },
        })
        .await
        .unwrap()
    );
    n1.release(first.claim.clone()).await.unwrap();
    let second = n2.claim(&room("r"), None).await.unwrap();
    assert!(second.numbers.first.sequence >= first.numbers.limit.sequence + 900);
    let trace = n3.trace(&room("r"), false).await.unwrap();
    assert_eq!(trace.current.map(|origin| origin.node).as_deref(), Some("n2"));
    let holders: Vec<_> = trace
        .holders
        .iter()
        .map(|holder| (holder.node.as_str(), holder.first_sequence, holder.may_answer))
        .collect();
    let [begun, moved] = [&first, &second].map(|granted| granted.numbers.first.sequence);
    assert_eq!(holders, [("n1", begun, true), ("n2", moved, true)]);
    let late = UsedClaim {
        claim: first.claim,
        used: NumberUse { first_sequence: begun, limit: second.numbers.limit.plus(1) },
    };
    assert!(!n1.reserve(late).await.unwrap(), "they are another node's");

    lapse(&n2, "n2").await;
    let dead = n3.trace(&room("r"), true).await.unwrap();
    assert!(dead.current.is_none() && !dead.holders[1].may_answer && dead.holders[0].may_answer);
}

#[actix_rt::test]
async fn a_lease_says_where_its_node_is_reached_and_that_it_drains() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let standing = async || n2.nodes().await.unwrap().pop().map(|node| node.standing);
    let mut expected = n1.0.membership.standing.clone();
    assert_eq!(standing().await, Some(expected.clone()));
    n1.announce_drain();
    n1.renew_lease().await.unwrap();
    expected.is_draining = true;
    assert_eq!(standing().await, Some(expected));
    query::<i64>(&n1, "HDEL synctv:claims s:n1").await;
    assert_eq!(standing().await, Some(NodeStanding::default()), "a node of an earlier version has none");
    n1.renew_lease().await.unwrap();
    n1.leave(Vec::new()).await.unwrap();
    assert_eq!(query::<Vec<String>>(&n2, "HKEYS synctv:claims").await, ["n:n2", "s:n2"]);
}

#[actix_rt::test]
async fn a_room_that_is_offered_waits_for_its_publisher_on_all_nodes() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let [own, other] = ["own", "other"].map(PublisherProof::from_text);
    let first = n1.claim(&room("r"), Some(own.clone())).await.unwrap().claim;
    assert!(n1.offer(first.clone(), own.clone(), LEASE_TTL).await.unwrap());
    n1.leave(vec![first.clone()]).await.unwrap();
    assert!(n2.trace(&room("r"), true).await.unwrap().is_reserved);
    for proof in [None, Some(other)] {
        let refused = n2.claim(&room("r"), proof).await.unwrap_err();
        assert_eq!(refused, ClaimError::Taken { node: "n1".to_owned() });
    }
    let second = n2.claim(&room("r"), Some(own.clone())).await.unwrap().claim;
    assert!(!n2.trace(&room("r"), true).await.unwrap().is_reserved, "it was taken");
    assert!(!n1.offer(first, own.clone(), LEASE_TTL).await.unwrap(), "it is not its own any more");

    assert!(n2.offer(second.clone(), own, Duration::ZERO).await.unwrap());
    assert_eq!(query::<i64>(&n2, "HEXISTS synctv:claims o:r").await, 1);
    n2.audit(vec![second.clone()]).await.unwrap();
    assert_eq!(query::<i64>(&n2, "HEXISTS synctv:claims o:r").await, 0, "what lapsed is forgotten");
    n2.release(second).await.unwrap();
    n2.claim(&room("r"), None).await.unwrap();
}
