//! While Redis is down or slow, what is live stays live and new publishers are refused in time, with the reason; when
//! it is back, even empty, the rooms are there again.

use std::time::Duration;

use synctv_testkit::{
    redis::{Redis, RedisProxy},
    rtmp::{Refused, RtmpPeer},
    server::TestServer,
    wait::{now, poll_until},
};

use crate::node;

/// Publishes are refused within this.
const REFUSED_WITHIN: Duration = Duration::from_millis(3500);

fn refused_in_time(server: &TestServer, room: &str) -> Refused {
    let asked = now();
    let refused = RtmpPeer::try_publish(server, room).expect_err("Redis does not answer");
    assert!(asked.elapsed() < REFUSED_WITHIN, "{:?}", asked.elapsed());
    assert!(refused.description.contains("the registry does not take new rooms now"), "{refused:?}");
    refused
}

#[test]
fn when_redis_comes_back_empty() {
    let mut redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &redis.url(), &[]));
    let _live: Vec<_> = ["a", "b"].map(|room| RtmpPeer::publish(&n1, room)).into();
    let epoch = redis.ask(&["HGET", "stream:a", "epoch"]);
    redis.kill();
    refused_in_time(&n1, "new");
    refused_in_time(&n2, "a");
    redis.start_again();
    let back = now();
    poll_until("the rooms", || (redis.rooms() == ["stream:a", "stream:b"]).then_some(()));
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
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
    let (n1, n2) = (node("n1", &proxy.url(), &[]), node("n2", &redis.url(), &[]));
    proxy.delay(700);
    refused_in_time(&n1, "r");
    proxy.delay(0);
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
