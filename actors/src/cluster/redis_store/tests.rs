//! Against a redis-server of their own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use actix::{Actor, Context, Handler};
use synctv_media::cluster::claims::{ClaimTable, Holder, NodeAddresses, Process};

use super::*;
use crate::{
    cluster::registry::{ClaimLost, RegistryHandle},
    testing::room,
};

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

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
            Some(Self { child: Self::spawn(port)?, port })
        });
        started.expect("redis-server listens")
    }

    /// Waits until it listens; `None` if it ends instead.
    fn spawn(port: u16) -> Option<Child> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server can be run (`make test` installs it)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let is_listening = lines.any(|line| line.contains("Ready to accept connections"));
        // Read on, or it would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        is_listening.then_some(child)
    }

    async fn restart_empty(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(self.port).expect("the port is still free");
    }

    fn membership(&self, node: &str, incarnation: u64) -> Membership {
        let at = |port: u16| format!("{node}:{port}");
        Membership {
            url: RedisUrl::parse(&format!("redis://127.0.0.1:{}/3", self.port)).unwrap(),
            process: Process { node: node.to_owned(), incarnation },
            addresses: NodeAddresses { rtmp: at(1935), httpflv: at(8080), hls: Some(at(8081)) },
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
        call.arg(&words[1..]).query_async(link).await
    });
    run.await.unwrap()
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

fn is_unavailable(answer: &Result<Claim, ClaimError>) -> bool {
    matches!(answer, Err(ClaimError::Unavailable { .. }))
}

#[actix_rt::test]
async fn what_is_no_number_is_an_error_that_names_it_and_no_zero() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 1).await;
    let _other = redis.node("n2", 2).await;
    let row = "HSET stream:r publisher_node n2 incarnation 2 epoch x since 7 returns 0";
    let () = query(&store, row).await;
    let located = store.locate(&room("r")).await.unwrap_err();
    assert!(located.0.contains("epoch is \"x\""), "{located}");
    match store.claim(&room("r")).await {
        Err(ClaimError::Unavailable { reason }) => assert!(reason.contains("epoch is \"x\""), "{reason}"),
        other => panic!("{other:?}"),
    }
    let () = query(&store, "HSET stream:s publisher_node n2 incarnation 2 epoch 5 since 7 returns 0").await;
    let listed: Vec<_> = store.rooms().await.unwrap().into_iter().map(|listed| listed.room).collect();
    assert_eq!(listed, [room("s")], "what cannot be read hides no other room");
    let () = query(&store, "HSET node:n2 incarnation y").await;
    let located = store.locate_fresh(&room("s")).await.unwrap_err();
    assert!(located.0.contains("incarnation is \"y\""), "{located}");
}

#[actix_rt::test]
async fn a_name_whose_lease_never_lapses_is_an_error_and_not_waited_for() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 1).await;
    let () = query(&store, "PERSIST node:n1").await;
    let other = NodeAddresses { rtmp: "x:1".to_owned(), ..redis.membership("n1", 2).addresses };
    let membership = Membership { addresses: other, ..redis.membership("n1", 2) };
    let refused = join(membership, Instant::now() + Duration::from_secs(5)).await.unwrap_err();
    assert!(refused.to_string().contains("node:n1 has no expiry"), "{refused}");
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
            (0..20).flat_map(|_| &nodes).map(|node| node.claim(room(&name), owner.clone().recipient()));
        let answers = futures::future::join_all(claims).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{name}");
        let taken = |answer: &&Result<Claim, ClaimError>| matches!(answer, Err(ClaimError::Taken { .. }));
        assert_eq!(answers.iter().filter(taken).count(), 59, "{name}: {answers:?}");
    }
    assert_eq!(nodes[0].rooms().await.unwrap().len(), 50);
}

#[actix_rt::test]
async fn entries_are_as_documented_and_gone_when_released() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 7).await;
    let claim = store.claim(&room("r")).await.unwrap();
    let fields: Vec<String> = query(&store, "HMGET stream:r publisher_node epoch incarnation").await;
    assert_eq!(fields, ["n1".to_owned(), claim.epoch.to_string(), "7".to_owned()]);
    let (claim_ms, lease_ms): (i64, i64) =
        (query(&store, "PTTL stream:r").await, query(&store, "PTTL node:n1").await);
    assert!((1..=300_000).contains(&claim_ms), "{claim_ms}");
    assert!((1..=LEASE_TTL.as_millis() as i64).contains(&lease_ms), "{lease_ms}");
    assert_eq!(query::<Vec<String>>(&store, "KEYS stream:*").await, ["stream:r"]);
    query::<i64>(&store, "PEXPIRE stream:r 5000").await;
    assert_eq!(store.renew(vec![claim.clone()]).await.unwrap(), []);
    assert!(query::<i64>(&store, "PTTL stream:r").await > 5000, "a heartbeat renews it");
    store.leave(vec![claim]).await.unwrap();
    assert_eq!(query::<Vec<String>>(&store, "KEYS *").await, ["claim_epoch"]);
}

#[actix_rt::test]
async fn a_room_is_found_from_other_nodes_for_as_long_as_its_node_lives() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r")).await.unwrap();
    let origin = n2.locate(&room("r")).await.unwrap().unwrap();
    assert_eq!((origin.node.as_str(), origin.epoch), ("n1", claim.epoch));
    assert_eq!(origin.addresses.hls.as_deref(), Some("n1:8081"));
    assert_eq!(n1.locate(&room("r")).await.unwrap(), None, "its own");
    assert_eq!(n2.locate(&room("other")).await.unwrap(), None);
    query::<i64>(&n1, "DEL node:n1").await;
    assert_eq!(n2.locate_fresh(&room("r")).await.unwrap(), None);
    assert_eq!(n2.rooms().await.unwrap(), []);
}

#[actix_rt::test]
async fn a_room_is_taken_over_when_its_lease_is_gone_and_its_owner_finds_out() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r")).await.unwrap();
    let taken = n2.claim(&room("r")).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    query::<i64>(&n1, "DEL node:n1").await;
    assert!(is_unavailable(&n1.claim(&room("other")).await), "without a lease it takes nothing");
    assert_eq!(n2.renew_lease().await.unwrap(), LeaseAnswer::Kept);
    let second = n2.claim(&room("r")).await.unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(n1.renew_lease().await.unwrap(), LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![first.clone()]).await.unwrap(), vec![first.clone()]);
    n1.release(first).await.unwrap();
    assert_eq!(n1.locate(&room("r")).await.unwrap().unwrap().epoch, second.epoch, "it frees nothing");
}

#[actix_rt::test]
async fn a_restarted_node_takes_its_name_and_rooms_at_once() {
    let redis = Redis::start().await;
    let before = redis.node("n1", 1).await;
    before.claim(&room("r")).await.unwrap();
    let after = redis.node("n1", 2).await;
    assert!(after.claim(&room("r")).await.is_ok());
    assert!(
        matches!(before.renew_lease().await.unwrap(), LeaseAnswer::Lost(lease) if lease.incarnation == 2)
    );
}

#[actix_rt::test]
async fn an_emptied_redis_gets_its_rooms_back_and_no_epoch_twice() {
    let mut redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r")).await.unwrap();
    redis.restart_empty().await;
    assert!(is_unavailable(&n2.claim(&room("r")).await), "an empty table is not believed");
    assert_eq!(n1.renew_lease().await.unwrap(), LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![first.clone()]).await.unwrap(), []);
    assert_eq!(n2.renew_lease().await.unwrap(), LeaseAnswer::Taken);
    let taken = n2.claim(&room("r")).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    assert!(n2.claim(&room("other")).await.unwrap().epoch > first.epoch);
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
    query::<i64>(&live, "PEXPIRE node:n1 200").await;
    join(elsewhere, deadline).await.unwrap();
}

/// Later than any test, and exact as a double, which is what scripts count with.
const FAR_MS: u64 = 1 << 52;

/// The scripts and the table in memory, given the same requests, give the same answers.
#[actix_rt::test]
async fn redis_follows_the_rules_of_the_table() {
    let redis = Redis::start().await;
    let store = redis.node("n9", 9).await;
    let processes: Vec<Process> = [("n1", 1), ("n1", 2), ("n2", 3)]
        .map(|(node, incarnation)| Process { node: node.to_owned(), incarnation })
        .to_vec();
    let addresses = store.0.membership.addresses.clone();
    let (mut model, mut chance) = (ClaimTable::default(), 1_u64);
    let mut pick = |max: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % max
    };
    let (mut epochs, mut seen) = (vec![1_u64], None::<Holder>);
    let ttl = Duration::from_secs(600);
    for step in 0..3_000 {
        let process = processes[pick(3)].clone();
        let name = room(["a", "b"][pick(2)]);
        let epoch = epochs[epochs.len() - 1 - pick(epochs.len().min(4))];
        let valid_until_ms = [0, FAR_MS][pick(2)];
        let request = ClaimRequest { room: name.clone(), process: process.clone(), epoch, valid_until_ms };
        let table = &mut model;
        match pick(7) {
            0 => {
                let ticket =
                    store.0.pool.run(async |link| table::next_ticket(link, "n1").await).await.unwrap();
                assert!(ticket.epoch >= ticket.now_ms && epochs.iter().all(|epoch| *epoch < ticket.epoch));
                epochs.push(ticket.epoch);
            }
            1 | 2 => {
                let over = if pick(2) == 0 { None } else { seen.clone() };
                let ours = table.try_claim(&request, over.as_ref(), None, 1);
                let theirs =
                    store.0.pool.run(async |link| table::try_claim(link, &request, over.as_ref(), ttl).await);
                assert_eq!(theirs.await.unwrap(), ours, "step {step}: {request:?} over {over:?}");
                if let ClaimAnswer::Held(holder) = ours {
                    seen = Some(holder);
                }
            }
            3 => {
                let returned = pick(2) == 0;
                let ours = vec![table.renew(&request, returned, None, 1)];
                let bids = [request.clone()];
                let theirs = store.0.pool.run(async |link| table::renew(link, &bids, returned, ttl).await);
                assert_eq!(theirs.await.unwrap(), ours, "step {step}: {request:?}");
            }
            4 => {
                table.release(&name, &process, epoch, 1);
                let gone =
                    store.0.pool.run(async |link| table::release(link, &process, [(&name, epoch)]).await);
                gone.await.unwrap();
            }
            5 => {
                let over = [None, Some(1), Some(2)][pick(3)];
                let ours = table.renew_lease(&process, &addresses, over, 600_000, 1);
                let theirs = store
                    .0
                    .pool
                    .run(async |link| table::renew_lease(link, &process, &addresses, over, ttl).await);
                assert_eq!(theirs.await.unwrap(), ours, "step {step}: {process:?} over {over:?}");
            }
            _ => {
                table.end_lease(&process, 1);
                store.0.pool.run(async |link| table::end_lease(link, &process).await).await.unwrap();
                let theirs = store.0.pool.run(async |link| table::lease(link, &process.node).await);
                assert_eq!(theirs.await.unwrap().as_ref(), table.lease(&process.node, 1), "step {step}");
            }
        }
    }
}
