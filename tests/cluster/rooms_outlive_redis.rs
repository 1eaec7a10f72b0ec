//! While Redis is down or slow, what is live stays live and new publishers are refused with the reason; when it is back,
//! even empty, the rooms are there again.

use std::time::Duration;

use synctv_testkit::{
    redis::{Redis, RedisProxy},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::poll_until,
};

use crate::{SHORT_LEASE, node};

fn assert_refused(server: &TestServer, room: &str) {
    let refused = RtmpPeer::try_publish(server, room).expect_err("Redis does not answer");
    assert!(refused.description.contains("the registry does not take new rooms now"), "{refused:?}");
}

#[test]
fn when_redis_comes_back_empty() {
    let mut redis = Redis::start(&[]);
    // The second node takes new rooms half a lease after Redis is back: time for the first one to renew its own, also on a busy machine.
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &redis.url(), &[]));
    let _live: Vec<_> = ["a", "b"].map(|room| RtmpPeer::publish(&n1, room)).into();
    let epoch = redis.ask(&["HGET", "stream:a", "epoch"]);
    redis.kill();
    assert_refused(&n1, "new");
    assert_refused(&n2, "a");
    redis.start_again();
    poll_until("the rooms", || (redis.rooms() == ["stream:a", "stream:b"]).then_some(()));
    assert_eq!(redis.ask(&["HGET", "stream:a", "epoch"]), epoch, "under their own epochs");
    poll_until("new rooms are taken", || RtmpPeer::try_publish(&n2, "new").ok());
    let refused = RtmpPeer::try_publish(&n2, "a").expect_err("the first node has it");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    assert_eq!(
        n1.log.count(|line| line.text("msg") == "publisher disconnected"),
        0,
        "what is live stays live"
    );
}

#[test]
fn when_redis_is_slow_and_nothing_of_a_refused_claim_is_left() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    // A node waits for a third of its lease for an answer.
    let (n1, n2) = (node("n1", &proxy.url(), &SHORT_LEASE), node("n2", &redis.url(), &[]));
    proxy.delay(Duration::from_millis(700));
    assert_refused(&n1, "r");
    proxy.delay(Duration::ZERO);
    poll_until("nothing is left", || redis.rooms().is_empty().then_some(()));
    let _live = RtmpPeer::publish(&n2, "r");
}

#[test]
fn a_room_whose_publisher_left_while_redis_was_away_is_free() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    let (n1, n2) = (node("n1", &proxy.url(), &[]), node("n2", &redis.url(), &[]));
    let first = RtmpPeer::publish(&n1, "r");
    proxy.cut();
    first.unpublish();
    proxy.mend();
    poll_until("the release", || redis.rooms().is_empty().then_some(()));
    let _second = RtmpPeer::publish(&n2, "r");
}
