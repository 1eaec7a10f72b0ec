//! A room has one publisher in the whole cluster: the first, until it disconnects or the lease of its node lapses.

use synctv_testkit::{
    redis::{Redis, RedisProxy},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::{now, poll_until},
};

use crate::{LEASE, SHORT_LEASE, SHORT_LEASE_TTL, node, publish_when_free};

/// The lease of a node that loses it, and has to keep it after that, also on a busy machine.
const LEASE_TO_LOSE_AND_KEEP: [&str; 2] = ["--lease-ttl-ms", "3000"];

#[test]
fn a_second_publisher_is_refused_on_every_node_until_the_first_leaves() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &redis.url(), &[]));
    let first = RtmpPeer::publish(&n1, "r");
    assert_eq!(redis.rooms(), ["stream:r"]);
    assert_eq!(redis.ask(&["HGET", "stream:r", "publisher_node"]), ["n1"]);
    for server in [&n1, &n2] {
        let refused = RtmpPeer::try_publish(server, "r").expect_err("the room is taken");
        assert_eq!(refused.code, "NetStream.Publish.BadName");
    }
    first.unpublish();
    poll_until("the release", || redis.rooms().is_empty().then_some(()));
    let _second = RtmpPeer::publish(&n2, "r");
    assert_eq!(redis.ask(&["HGET", "stream:r", "publisher_node"]), ["n2"]);
}

#[test]
fn heartbeats_keep_claims_and_leases() {
    let redis = Redis::start(&[]);
    let n1 = node("n1", &redis.url(), &[]);
    let _live = RtmpPeer::publish(&n1, "r");
    for (key, ttl_ms) in [("stream:r", 5000), ("node:n1", LEASE.as_millis() as i64)] {
        let mut last_ms = ttl_ms;
        poll_until("a renewal", || {
            let left_ms = redis.number(&["PTTL", key]);
            assert!((1..=ttl_ms).contains(&left_ms), "{key} has {left_ms} ms");
            let is_renewed = left_ms > last_ms;
            last_ms = left_ms;
            is_renewed.then_some(())
        });
    }
}

#[test]
fn the_room_of_a_node_that_was_killed_is_free_when_its_lease_has_lapsed() {
    let redis = Redis::start(&[]);
    // The claim itself outlasts the test.
    let flags = ["--claim-ttl-s", "300"];
    let n1 = node("n1", &redis.url(), &[flags, SHORT_LEASE].concat());
    let n2 = node("n2", &redis.url(), &flags);
    let _first = RtmpPeer::publish(&n1, "r");
    let epoch = redis.number(&["HGET", "stream:r", "epoch"]);
    n1.signal("KILL");
    let killed = now();
    let _second = publish_when_free(&n2, "r");
    // It was renewed three times within each lease.
    assert!(killed.elapsed() >= SHORT_LEASE_TTL / 2, "{:?}", killed.elapsed());
    assert!(redis.number(&["HGET", "stream:r", "epoch"]) > epoch);
}

#[test]
fn a_node_that_slept_lets_its_publisher_go_when_another_node_has_the_room() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &LEASE_TO_LOSE_AND_KEEP), node("n2", &redis.url(), &[]));
    let mut first = RtmpPeer::publish(&n1, "taken");
    let _kept = RtmpPeer::publish(&n1, "kept");
    n1.signal("STOP");
    let _second = publish_when_free(&n2, "taken");
    n1.signal("CONT");
    first.wait_for_status("NetStream.Failed");
    let left = n1.wait_for_publisher_leaving("taken");
    assert_eq!(left.text("why"), "the room was taken over by another publisher");
    let refused = RtmpPeer::try_publish(&n2, "kept").expect_err("it still is the first node's");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    assert_eq!(redis.ask(&["HGET", "stream:taken", "publisher_node"]), ["n2"]);
}

#[test]
fn a_node_that_is_cut_off_keeps_what_is_live_and_gives_up_what_others_took() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    let (n1, n2) = (node("n1", &proxy.url(), &LEASE_TO_LOSE_AND_KEEP), node("n2", &redis.url(), &[]));
    let mut first = RtmpPeer::publish(&n1, "taken");
    let _kept = RtmpPeer::publish(&n1, "kept");
    proxy.cut();
    let _second = publish_when_free(&n2, "taken");
    let refused = RtmpPeer::try_publish(&n1, "new").expect_err("it cannot know");
    assert_ne!(refused.code, "NetStream.Publish.BadName");
    assert_eq!(n1.log.count(|line| line.text("msg") == "publisher disconnected"), 0);
    proxy.mend();
    first.wait_for_status("NetStream.Failed");
    let _new = publish_when_free(&n1, "new");
    assert_eq!(redis.ask(&["HGET", "stream:kept", "publisher_node"]), ["n1"]);
}

#[test]
fn a_node_that_restarts_under_its_name_and_addresses_has_its_rooms_before_its_lease_lapses() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    // Half of it is waited for. The other half is for a busy machine.
    let lease = ["--lease-ttl-ms", "16000"];
    let start = |rtmp: &str, http: &str| {
        let flags = ["--rtmp-addr", rtmp, "--httpflv-addr", http, "--node-id", "n1", "--redis-url", &url];
        TestServer::start(&[&flags[..], &lease].concat())
    };
    let before = start("127.0.0.1:0", "127.0.0.1:0");
    let _first = RtmpPeer::publish(&before, "r");
    let (rtmp, http) = (before.rtmp.to_string(), before.http.to_string());
    before.signal("KILL");
    drop(before);
    let row = redis.ask(&["HGET", "synctv:claims", "n:n1"]).concat();
    let until_ms: u64 = row.split(' ').nth(1).and_then(|until| until.parse().ok()).expect("a lease");
    let after = start(&rtmp, &http);
    let _second = RtmpPeer::publish(&after, "r");
    let now_s: u64 = redis.ask(&["TIME"])[0].parse().expect("seconds");
    assert!(now_s * 1000 < until_ms, "it waited for the end of the lease");
}
