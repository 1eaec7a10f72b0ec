//! Against a redis-server of their own.

mod in_memory;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use actix::{Actor, Context, Handler};
use synctv_media::cluster::{
    claims::{LeaseAnswer, NodeAddresses},
    numbers::{HlsNumbers, NumberUse},
    process::Process,
    standing::{NodeStanding, NodeUrl},
};
use tokio::time::Instant;

use super::*;
use crate::{
    cluster::registry::{ClaimLost, Claimed, RegistryHandle},
    testing::{PATIENCE, poll_until, room},
};

/// Another process may take a port between its choice and its use.
const PORTS_TRIED_MAX: usize = 5;

/// A redis-server; it is killed when this is dropped.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    async fn start() -> Self {
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = (0..PORTS_TRIED_MAX).find_map(|_| {
            let port = free_port();
            Some(Self { child: Self::spawn(Self::on_port(port))?, port })
        });
        started.expect("redis-server listens")
    }

    /// With a configuration file, which some modes need.
    async fn start_with(config: &std::path::Path, flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.arg(config).args(["--port", &port.to_string()]);
        command.args(flags.iter().filter(|flag| !flag.is_empty()));
        command.arg("--dir").arg(config.parent().unwrap());
        Self { child: Self::spawn(command).expect("the port is still free"), port }
    }

    fn on_port(port: u16) -> Command {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command
    }

    /// Waits until it listens; `None` if it ends instead.
    fn spawn(mut command: Command) -> Option<Child> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server can be run (`make test` installs it)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let is_listening =
            lines.any(|line| line.contains("Ready to accept connections") || line.contains("Sentinel ID is"));
        // Read on, or it would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        is_listening.then_some(child)
    }

    async fn restart_empty(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(Self::on_port(self.port)).expect("the port is still free");
    }

    /// Goes on with what it had saved.
    async fn restart_restored(&mut self, directory: &std::path::Path) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut command = Self::on_port(self.port);
        command.arg("--dir").arg(directory);
        self.child = Self::spawn(command).expect("the port is still free");
    }

    fn membership(&self, node: &str, incarnation: u64) -> Membership {
        let at = |port: u16| format!("{node}:{port}");
        Membership {
            url: RedisUrl::parse(&format!("redis://127.0.0.1:{}/3", self.port)).unwrap(),
            prefix: KeyPrefix::default(),
            process: Process { node: node.to_owned(), incarnation },
            addresses: NodeAddresses { rtmp: at(1935), httpflv: at(8080), hls: Some(at(8081)) },
            standing: NodeStanding {
                started_ms: incarnation,
                is_draining: false,
                rtmp_url: NodeUrl::new(&format!("rtmp://{node}.test/live")).ok(),
            },
            lease_ttl: LEASE_TTL,
            claim_ttl: Duration::from_secs(300),
        }
    }

    async fn join(&self, node: &str, incarnation: u64) -> Joined {
        let deadline = Instant::now() + PATIENCE;
        join(self.membership(node, incarnation), deadline).await.unwrap()
    }

    async fn node(&self, node: &str, incarnation: u64) -> RedisStore {
        RedisStore::new(&self.join(node, incarnation).await)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
async fn entries_are_as_documented_and_gone_when_released() {
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
async fn a_room_is_taken_over_when_its_lease_is_gone_and_its_owner_finds_out() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r"), None).await.unwrap().claim;
    let taken = n2.claim(&room("r"), None).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    lapse(&n1, "n1").await;
    assert!(is_unavailable(&n1.claim(&room("other"), None).await), "without a lease it takes nothing");
    assert_eq!(lease_answer(&n2).await, LeaseAnswer::Kept);
    let second = n2.claim(&room("r"), None).await.unwrap().claim;
    assert!(second.epoch > first.epoch);
    assert_eq!(lease_answer(&n1).await, LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![unused(&first)]).await.unwrap(), vec![first.clone()]);
    n1.release(first).await.unwrap();
    assert_eq!(n1.locate(&room("r")).await.unwrap().unwrap().epoch, second.epoch, "it frees nothing");
}

#[actix_rt::test]
async fn a_restarted_node_takes_its_name_and_rooms_at_once() {
    let redis = Redis::start().await;
    let before = redis.node("n1", 1).await;
    before.claim(&room("r"), None).await.unwrap();
    let after = redis.node("n1", 2).await;
    assert!(after.claim(&room("r"), None).await.is_ok());
    assert!(matches!(lease_answer(&before).await, LeaseAnswer::Lost(lease) if lease.incarnation == 2));
}

#[actix_rt::test]
async fn an_emptied_redis_gets_its_rooms_back_and_no_epoch_twice() {
    let mut redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r"), None).await.unwrap();
    let used =
        NumberUse { first_sequence: first.numbers.first.sequence, limit: first.numbers.limit.plus(5_000) };
    redis.restart_empty().await;
    assert!(is_unavailable(&n2.claim(&room("r"), None).await), "another table is not believed");
    assert_eq!(lease_answer(&n1).await, LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![UsedClaim { claim: first.claim.clone(), used }]).await.unwrap(), []);
    assert_eq!(lease_answer(&n2).await, LeaseAnswer::Taken);
    let taken = n2.claim(&room("r"), None).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    assert!(n2.claim(&room("other"), None).await.unwrap().claim.epoch > first.claim.epoch);
    n1.release(first.claim).await.unwrap();
    let next = n2.claim(&room("r"), None).await.unwrap().numbers;
    assert!(next.first.sequence >= used.limit.sequence, "its numbers are remembered by their node");
}

#[actix_rt::test]
async fn a_name_in_use_is_refused_and_one_that_lapses_is_taken() {
    let redis = Redis::start().await;
    let live = redis.node("n1", 1).await;
    let mut elsewhere = redis.membership("n1", 2);
    elsewhere.addresses.rtmp = "elsewhere:1935".to_owned();
    let deadline = Instant::now() + PATIENCE;
    let renewed = async {
        loop {
            live.renew_lease().await.unwrap();
        }
    };
    let refused = tokio::select! {
        joined = join(elsewhere.clone(), deadline) => joined.unwrap_err(),
        () = renewed => unreachable!("it has no end"),
    };
    assert!(
        refused.to_string().contains("NODE_ID=n1") && refused.to_string().contains("n1:1935"),
        "{refused}"
    );
    lapse(&live, "n1").await;
    join(elsewhere, deadline).await.unwrap();
}

#[actix_rt::test]
async fn what_another_application_has_is_neither_read_nor_touched() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    for command in [
        "XADD stream:orders * a 1",
        "SET stream:config x",
        "HSET stream:other a 1",
        "HSET synctv:claims r:broken x",
        "SET node:n3 x",
    ] {
        query::<redis::Value>(&n1, command).await;
    }
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    for name in ["orders", "config", "other", "broken"] {
        assert_eq!(n2.locate(&room(name)).await.unwrap(), None, "{name}");
        let claim = n1.claim(&room(name), None).await.unwrap().claim;
        assert_eq!(
            n2.locate(&room(name)).await.unwrap().map(|origin| origin.epoch),
            Some(claim.epoch),
            "{name}"
        );
        assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), [], "{name}");
        n1.release(claim).await.unwrap();
    }
    assert_eq!(query::<i64>(&n1, "XLEN stream:orders").await, 1);
    assert_eq!(query::<i64>(&n1, "TTL stream:orders").await, -1);
    assert_eq!(query::<String>(&n1, "GET stream:config").await, "x");
    assert_eq!(query::<Vec<String>>(&n1, "HKEYS stream:other").await, ["a"]);
    let rooms: Vec<String> = n2.rooms().await.unwrap().iter().map(|room| room.room.to_string()).collect();
    assert_eq!(rooms, ["r"]);
    assert_eq!(n1.audit(vec![claim]).await.unwrap().claims.len(), 1);
    let n3 = redis.node("n3", 3).await;
    assert_eq!(lease_answer(&n3).await, LeaseAnswer::Kept, "its entry is not needed");
    assert_eq!(query::<String>(&n1, "GET node:n3").await, "x");
}

#[actix_rt::test]
async fn a_table_of_another_kind_ends_the_start_with_what_to_do() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 1).await;
    query::<i64>(&store, "DEL synctv:claims").await;
    query::<String>(&store, "SET synctv:claims x").await;
    let refused = join(redis.membership("n2", 2), Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert!(refused.to_string().contains("REDIS_PREFIX"), "{refused}");
    let mut elsewhere = redis.membership("n2", 2);
    elsewhere.prefix = KeyPrefix::new("mine:").unwrap();
    let joined = join(elsewhere, Instant::now() + PATIENCE).await.unwrap();
    RedisStore::new(&joined).claim(&room("r"), None).await.unwrap();
    let keys: Vec<String> = query(&store, "KEYS mine:*").await;
    assert_eq!(keys.len(), 5, "{keys:?}");
}

#[actix_rt::test]
async fn keys_that_are_evicted_give_no_room_away_and_come_back() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    query::<i64>(&n1, "DEL stream:r node:n1 node:n2 claim_epoch synctv:numbers:r").await;
    assert!(matches!(n2.claim(&room("r"), None).await, Err(ClaimError::Taken { .. })));
    assert!(n2.locate(&room("r")).await.unwrap().is_some());
    assert!(n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert_eq!(query::<Vec<String>>(&n1, "KEYS stream:*").await, ["stream:r"]);
    assert!(!n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);

    lease_answer(&n1).await;
    lease_answer(&n2).await;
    assert_eq!(query::<i64>(&n1, "EXISTS node:n1 node:n2").await, 2);
    query::<i64>(&n1, "DEL synctv:claims").await;
    assert!(
        is_unavailable(&n2.claim(&room("r"), None).await),
        "a node that is not in the table does not believe it"
    );
    for node in [&n1, &n2] {
        assert_eq!(lease_answer(node).await, LeaseAnswer::Taken);
    }
    assert!(n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert!(matches!(n2.claim(&room("r"), None).await, Err(ClaimError::Taken { .. })));
}

#[actix_rt::test]
async fn after_a_restore_the_later_claim_wins_and_one_that_its_node_does_not_know_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("redis.conf");
    std::fs::write(&config, "save \"\"\n").unwrap();
    let mut redis = Redis::start_with(&config, &[]).await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let given_back = n1.claim(&room("given_back"), None).await.unwrap().claim;
    let first = n1.claim(&room("moved"), None).await.unwrap().claim;
    query::<String>(&n1, "SAVE").await;
    n1.release(given_back.clone()).await.unwrap();
    n1.release(first).await.unwrap();
    let moved = n2.claim(&room("moved"), None).await.unwrap();
    redis.restart_restored(directory.path()).await;

    assert!(is_unavailable(&n2.claim(&room("other"), None).await), "it may lack what others know");
    let (before, after) = (n1.table_id(), n1.renew_lease().await.unwrap());
    assert_eq!(after.answer, LeaseAnswer::Kept, "the lease was saved");
    assert_ne!(before, after.table);
    assert_eq!(n1.audit(Vec::new()).await.unwrap().claims.len(), 2, "both are given back by the registry");
    lease_answer(&n2).await;
    let limit = moved.numbers.limit.plus(700);
    let used = NumberUse { first_sequence: moved.numbers.first.sequence, limit };
    let renewed = n2.renew(vec![UsedClaim { claim: moved.claim.clone(), used }]).await.unwrap();
    assert_eq!(renewed, [], "what is live stays live");
    assert_eq!(query::<String>(&n1, "HGET stream:moved publisher_node").await, "n2");
    n1.release(given_back).await.unwrap();
    n2.claim(&room("given_back"), None).await.unwrap();
    n2.release(moved.claim).await.unwrap();
    let next = n1.claim(&room("moved"), None).await.unwrap().numbers;
    assert!(next.first.sequence >= limit.sequence && !next.continues);
}

#[actix_rt::test]
async fn a_registry_gives_back_what_it_does_not_know_and_writes_again_what_is_not_there() {
    let redis = Redis::start().await;
    // The table is looked through when the lease is renewed, three times within it.
    let membership = Membership { lease_ttl: Duration::from_secs(6), ..redis.membership("n1", 1) };
    let joined = join(membership, Instant::now() + PATIENCE).await.unwrap();
    let n2 = redis.node("n2", 2).await;
    let n1 = RegistryHandle::start_on(&actix_rt::Arbiter::current(), Duration::from_secs(300), move || {
        RedisStore::new(&joined)
    });
    let live = n1.claim(room("live"), None, Owner.start().recipient()).await.unwrap().claim;
    write(&n2, "r:stale", &format!("n1 1 {} 1", live.epoch - 1)).await;
    query::<i64>(&n2, "DEL stream:live").await;
    poll_until(async || {
        query::<i64>(&n2, "HEXISTS synctv:claims r:stale").await == 0
            && query::<i64>(&n2, "EXISTS stream:live").await == 1
    })
    .await;
    n2.renew_lease().await.unwrap();
    n2.claim(&room("stale"), None).await.unwrap();
    assert_eq!(query::<u64>(&n2, "HGET stream:live epoch").await, live.epoch);
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
async fn a_redis_that_is_full_says_so_and_keeps_what_is_live() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    assert!(!n1.renew_lease().await.unwrap().is_full);
    query::<String>(&n1, "CONFIG SET maxmemory 1").await;
    for _ in 0..3 {
        let renewal = n1.renew_lease().await.unwrap();
        assert_eq!((renewal.answer, renewal.is_full), (LeaseAnswer::Kept, true));
    }
    let refused = n1.claim(&room("other"), None).await.unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert!(n2.trace(&room("r"), true).await.unwrap().current.is_some());
    n1.release(claim).await.unwrap();
    query::<String>(&n1, "CONFIG SET maxmemory 0").await;
    assert!(!n2.renew_lease().await.unwrap().is_full);
    n2.claim(&room("r"), None).await.unwrap();
}

#[actix_rt::test]
async fn what_a_dead_node_left_is_forgotten() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    n1.claim(&room("r"), None).await.unwrap();
    query::<i64>(&n1, "DEL node:n1").await;
    write(&n1, "n:n1", "1 1000 h:1 h:2 -").await;
    n2.audit(Vec::new()).await.unwrap();
    assert_eq!(query::<Vec<String>>(&n2, "HKEYS synctv:claims").await, ["n:n2", "s:n2"]);
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
async fn a_redis_cluster_and_a_sentinel_are_refused_by_name() {
    for (flags, words) in [(["--cluster-enabled", "yes"], "Redis Cluster"), (["--sentinel", ""], "Sentinel")]
    {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("redis.conf");
        std::fs::write(&config, "").unwrap();
        let redis = Redis::start_with(&config, &flags).await;
        let mut membership = redis.membership("n1", 1);
        membership.url = RedisUrl::parse(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
        let refused = join(membership, Instant::now() + PATIENCE).await.unwrap_err();
        assert!(matches!(refused, JoinError::Unsupported { .. }), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
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
