//! A Redis of which this server is not the only user, with keys that are not ours and a limit of its memory.

use serde_json::Value;
use synctv_testkit::{
    http::request, log_book::LogLine, redis::Redis, rtmp::RtmpPeer, server::TestServer, wait::poll_until,
};

use crate::node;

fn listed(server: &TestServer) -> Value {
    serde_json::from_str(&request(server.http, "GET", "/api/v1/streams").text()).expect("a list")
}

fn rooms(server: &TestServer) -> Vec<String> {
    let list = listed(server);
    assert_eq!(list["complete"], true, "{list}");
    let streams = list["streams"].as_array().expect("an array");
    streams.iter().map(|stream| stream["room"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_foreign_key_hides_no_room_and_is_left_as_it_is() {
    let redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let _live = RtmpPeer::publish(&n1, "r1");
    redis.ask(&["XADD", "stream:orders", "*", "a", "1"]);
    redis.ask(&["SET", "stream:config", "x"]);
    let _same_name = RtmpPeer::publish(&n1, "orders");
    for server in [&n1, &n2] {
        poll_until("both rooms", || (rooms(server) == ["orders", "r1"]).then_some(()));
        assert_eq!(request(server.http, "GET", "/api/v1/streams/r1").status, 200);
    }
    let refused = RtmpPeer::try_publish(&n2, "orders").expect_err("n1 has it");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    let reported = |line: &LogLine| line.text("level") == "warn" && line.text("key") == "stream:orders";
    n1.log.find_only("the report", reported);
    assert_eq!(n2.log.count(reported), 0);
    assert_eq!(redis.ask(&["TYPE", "stream:orders"]), ["stream"]);
    assert_eq!(redis.ask(&["GET", "stream:config"]), ["x"]);
}

#[test]
fn a_prefix_sets_clusters_apart() {
    let redis = Redis::start(&[]);
    let [mine, yours] =
        ["mine:", "yours:"].map(|prefix| node("n1", &redis.url(), &["--redis-prefix", prefix]));
    let _mine = RtmpPeer::publish(&mine, "r");
    let _yours = RtmpPeer::publish(&yours, "r");
    assert_eq!(redis.ask(&["HGET", "mine:stream:r", "publisher_node"]), ["n1"]);
    assert_eq!(redis.rooms(), [] as [&str; 0]);
    assert_eq!((rooms(&mine).len(), rooms(&yours).len()), (1, 1));
}

#[test]
fn rooms_are_listed_without_a_look_at_the_keys_of_others() {
    let redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    redis.ask(&["EVAL", "for i = 1, 1000 do redis.call('SET', 'stream:x' .. i, 1) end", "0"]);
    let _live = RtmpPeer::publish(&n1, "r1");
    redis.ask(&["CONFIG", "RESETSTAT"]);
    poll_until("the room", || (rooms(&n2) == ["r1"]).then_some(()));
    let calls = redis.ask(&["INFO", "commandstats"]);
    let used: Vec<&String> = calls
        .iter()
        .filter(|line| line.starts_with("cmdstat_scan") || line.starts_with("cmdstat_keys"))
        .collect();
    assert!(used.is_empty(), "{used:?}");
}

#[test]
fn while_it_is_full_the_node_is_not_ready_and_says_why() {
    let redis = Redis::start(&[]);
    let n1 = node("n1", &redis.url(), &[]);
    let live = RtmpPeer::publish(&n1, "live");
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let status = |path| {
        let answer = request(n1.http, "GET", path);
        (answer.status, answer.text())
    };
    let reason = poll_until("it is not ready", || Some(status("/readyz")).filter(|answer| answer.0 == 503)).1;
    assert!(reason.contains("Redis is full (maxmemory is reached)"), "{reason}");
    let refused = RtmpPeer::try_publish(&n1, "new").expect_err("there is no room for it");
    assert!(refused.description.contains("full"), "{refused:?}");
    assert_eq!(status("/healthz").0, 200);
    assert_eq!(
        n1.log.count(|line| line.text("msg") == "publisher disconnected"),
        0,
        "what is live stays live"
    );
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    poll_until("it is ready", || (status("/readyz").0 == 200).then_some(()));
    let _new = RtmpPeer::publish(&n1, "new");
    drop(live);
}

#[test]
fn what_it_may_evict_is_said_at_the_start() {
    let redis = Redis::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let n1 = node("n1", &redis.url(), &[]);
    let warned = n1.log.count(|line| line.text("maxmemory_policy") == "allkeys-lru");
    assert_eq!(warned, 1);
}
