//! A Redis that evicts keys, or goes on from an earlier state: no room is given to two publishers, what is live stays
//! live, and what is not live blocks no room.

use synctv_testkit::{redis::Redis, rtmp::RtmpPeer, server::TestServer, wait::poll_until};

use crate::{node, publish_when_free};

fn assert_taken(server: &TestServer, room: &str) {
    let refused = RtmpPeer::try_publish(server, room).expect_err("the room is taken");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
}

#[test]
fn keys_that_were_evicted_give_no_room_away() {
    let redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let _live = RtmpPeer::publish(&n1, "r");
    redis.ask(&["DEL", "stream:r", "node:n1", "claim_epoch"]);
    assert_taken(&n2, "r");
    poll_until("the room's entry", || (redis.rooms() == ["stream:r"]).then_some(()));

    redis.ask(&["DEL", "synctv:claims"]);
    let refused = RtmpPeer::try_publish(&n2, "r").expect_err("the table is not complete");
    assert!(!refused.code.is_empty());
    poll_until("n2 takes rooms again", || RtmpPeer::try_publish(&n2, "other").ok());
    assert_taken(&n2, "r");
    assert_eq!(
        n1.log.count(|line| line.text("msg") == "publisher disconnected"),
        0,
        "what is live stays live"
    );
}

/// Saves its state; [`Redis::start_again`] goes on from there.
fn save(redis: &Redis) {
    assert_eq!(redis.ask(&["SAVE"]), ["OK"]);
}

#[test]
fn the_later_claim_wins_when_an_earlier_one_is_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redis = Redis::start(&["--dir", directory.path().to_str().expect("text")]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let first = RtmpPeer::publish(&n1, "r");
    save(&redis);
    first.unpublish();
    let _live = publish_when_free(&n2, "r");
    let epoch = redis.number(&["HGET", "stream:r", "epoch"]);
    redis.kill();
    redis.start_again();
    let owner = || redis.ask(&["HGET", "stream:r", "publisher_node"]).concat();
    assert_eq!(owner(), "n1", "as it was saved");
    poll_until("the later claim", || (owner() == "n2").then_some(()));
    assert_eq!(redis.number(&["HGET", "stream:r", "epoch"]), epoch);
    poll_until("n1 takes rooms again", || RtmpPeer::try_publish(&n1, "other").ok());
    assert_taken(&n1, "r");
    assert_eq!(
        n2.log.count(|line| line.text("msg") == "publisher disconnected"),
        0,
        "what is live stays live"
    );
}

#[test]
fn a_claim_that_its_node_does_not_know_falls_within_a_lease() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redis = Redis::start(&["--dir", directory.path().to_str().expect("text")]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &["--claim-ttl-s", "300"]));
    let first = RtmpPeer::publish(&n1, "r");
    save(&redis);
    first.unpublish();
    poll_until("the release", || redis.rooms().is_empty().then_some(()));
    redis.kill();
    redis.start_again();
    assert_eq!(redis.rooms(), ["stream:r"], "as it was saved");
    // Its own time to live is far longer than what is waited for here.
    poll_until("the room is free", || redis.rooms().is_empty().then_some(()));
    let _second = publish_when_free(&n2, "r");
    n1.log.find_only("the claim that n1 gives back", |line| line.mentions("does not know: it is released"));
}

#[test]
fn an_entry_that_says_something_else_is_put_right() {
    let redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let _live = RtmpPeer::publish(&n1, "r");
    redis.ask(&["HSET", "stream:r", "publisher_node", "n2", "epoch", "1"]);
    poll_until("it is put right", || {
        (redis.ask(&["HGET", "stream:r", "publisher_node"]) == ["n1"]).then_some(())
    });
    assert_taken(&n2, "r");
}
