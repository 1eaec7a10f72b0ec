//! Wherever a room is published next, and whatever becomes of the node that had it: viewers of all other nodes, and of
//! that one if it lives, keep their sockets, and their time goes on.

use std::time::Duration;

use synctv_media::stream::frame::Frame;

use crate::{
    LEASE,
    lives::{Watcher, assert_went_on, life, until_end_of},
    node, publish_when_free,
    redis::Redis,
    support::{flv_viewer::FlvViewer, frames, log_book::LogLine, now, rtmp_peer::RtmpPeer, server::Server},
};

/// How long viewers may wait for a publisher who moved, from its first frame.
const AT_ONCE: Duration = Duration::from_millis(1500);

fn watch_on<const N: usize>(nodes: [&Server; N]) -> [Watcher; N] {
    nodes.map(|server| (FlvViewer::open(server, "r"), Vec::new()))
}

#[test]
fn when_that_node_is_killed() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &[]));
    let lives = [life(60_000, 0), life(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&lives[0]);
    let mut watchers = watch_on([&n2, &n3]);
    until_end_of(&mut watchers, &lives[0]);

    n1.signal("KILL");
    let killed = now();
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&lives[1]);
    until_end_of(&mut watchers, &lives[1]);
    let gap = killed.elapsed();
    assert_went_on(&watchers, &lives);
    assert!(gap < LEASE + AT_ONCE, "{gap:?}");
}

#[test]
fn as_rtmp_players_as_well() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &[]));
    let lives = [life(60_000, 0), life(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&lives[0]);
    let mut players = [&n2, &n3].map(|server| (RtmpPeer::play(server, "r"), Vec::new()));
    played_to_the_end_of(&mut players, &lives[0]);
    n1.signal("KILL");
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&lives[1]);
    played_to_the_end_of(&mut players, &lives[1]);
    for (_, seen) in &players {
        frames::assert_never_back(seen);
        assert_eq!(frames::payloads(seen), frames::payloads(&lives.concat()));
    }
}

fn played_to_the_end_of(players: &mut [(RtmpPeer, Vec<Frame>)], life: &[Frame]) {
    let last = life.last().map(|frame| &frame.payload);
    for (player, seen) in players {
        while seen.last().map(|frame| &frame.payload) != last {
            seen.push(player.next_frame().expect("the stream goes on"));
        }
    }
}

#[test]
fn when_the_publisher_moves_to_another_node() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &[]));
    let nodes = [&n1, &n2];
    let lives = [life(60_000, 0), life(0, 100), life(u32::MAX - 20, 200)];
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&lives[0]);
    let mut watchers = watch_on([&n1, &n2, &n3]);
    until_end_of(&mut watchers, &lives[0]);
    for (at, life) in lives.iter().enumerate().skip(1) {
        publisher.unpublish();
        publisher = publish_when_free(nodes[at % 2], "r");
        publisher.send_all(life);
        let sent = now();
        until_end_of(&mut watchers, life);
        assert!(sent.elapsed() < AT_ONCE, "{:?}", sent.elapsed());
    }
    assert_went_on(&watchers, &lives);
}

#[test]
fn when_that_node_sleeps_for_longer_than_its_lease() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &[]));
    let lives = [life(60_000, 0), life(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&lives[0]);
    let mut watchers = watch_on([&n1, &n2, &n3]);
    until_end_of(&mut watchers, &lives[0]);

    n1.signal("STOP");
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&lives[1]);
    until_end_of(&mut watchers[1..], &lives[1]);
    n1.signal("CONT");
    until_end_of(&mut watchers[..1], &lives[1]);
    assert_went_on(&watchers, &lives);
    first.wait_for_status("NetStream.Failed");
    let is_pulled_by_it = |line: &LogLine| line.says("pull began", "r") && line.text("node") == "n2";
    n1.log.find("n1 is a viewer of the room", is_pulled_by_it);
}
