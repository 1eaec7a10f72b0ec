//! The viewers of all other nodes keep their sockets when a room moves to another node, or its node is killed, and
//! their time goes on.

use synctv_testkit::{
    flv::FlvViewer,
    log_book::LogLine,
    redis::Redis,
    room_history::{RoomHistory, assert_histories, publication, read_to_end_of},
    rtmp::RtmpPeer,
    server::TestServer,
};

use crate::{LONG_LEASE, SHORT_LEASE, node, publish_when_free};

/// Three nodes, of which the first one has a lease that lapses soon.
fn three_nodes(redis: &Redis) -> [TestServer; 3] {
    let lease = |id: &str| if id == "n1" { &SHORT_LEASE[..] } else { &[] };
    ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), lease(id)))
}

fn watch_on<const N: usize>(nodes: [&TestServer; N]) -> [RoomHistory<FlvViewer>; N] {
    nodes.map(|server| RoomHistory::of(FlvViewer::open(server, "r")))
}

#[test]
fn when_that_node_is_killed() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes(&redis);
    let publications = [publication(60_000, 0), publication(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&publications[0]);
    let mut watchers = watch_on([&n2, &n3]);
    read_to_end_of(&mut watchers, &publications[0]);

    n1.signal("KILL");
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&publications[1]);
    read_to_end_of(&mut watchers, &publications[1]);
    assert_histories(&watchers, &publications);
}

#[test]
fn as_rtmp_players_as_well() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes(&redis);
    let publications = [publication(60_000, 0), publication(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&publications[0]);
    let mut players = [&n2, &n3].map(|server| RoomHistory::of(RtmpPeer::play(server, "r")));
    read_to_end_of(&mut players, &publications[0]);
    n1.signal("KILL");
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&publications[1]);
    read_to_end_of(&mut players, &publications[1]);
    assert_histories(&players, &publications);
}

#[test]
fn when_the_publisher_moves_to_another_node() {
    let redis = Redis::start(&[]);
    // The viewers of the node that it leaves wait for it to be back elsewhere.
    let flags = [LONG_LEASE, ["--publisher-grace-s", "60"]].concat();
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &flags));
    let nodes = [&n1, &n2];
    let publications = [publication(60_000, 0), publication(0, 100), publication(u32::MAX - 20, 200)];
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&publications[0]);
    let mut watchers = watch_on([&n1, &n2, &n3]);
    read_to_end_of(&mut watchers, &publications[0]);
    for (at, publication) in publications.iter().enumerate().skip(1) {
        publisher.unpublish();
        publisher = publish_when_free(nodes[at % 2], "r");
        publisher.send_all(publication);
        read_to_end_of(&mut watchers, publication);
    }
    assert_histories(&watchers, &publications);
}

#[test]
fn when_that_node_sleeps_for_longer_than_its_lease() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes(&redis);
    let publications = [publication(60_000, 0), publication(0, 100)];
    let mut first = RtmpPeer::publish(&n1, "r");
    first.send_all(&publications[0]);
    let mut watchers = watch_on([&n1, &n2, &n3]);
    read_to_end_of(&mut watchers, &publications[0]);

    n1.signal("STOP");
    let mut second = publish_when_free(&n2, "r");
    second.send_all(&publications[1]);
    read_to_end_of(&mut watchers[1..], &publications[1]);
    n1.signal("CONT");
    read_to_end_of(&mut watchers[..1], &publications[1]);
    assert_histories(&watchers, &publications);
    first.wait_for_status("NetStream.Failed");
    let is_pulled_by_it = |line: &LogLine| line.says("pull began", "r") && line.text("node") == "n2";
    n1.log.find("n1 is a viewer of the room", is_pulled_by_it);
}
