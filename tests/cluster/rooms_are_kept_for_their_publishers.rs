//! A node that drains sends its publishers to other nodes, and their rooms are kept for them on the way: others are refused,
//! but not longer than is promised, whatever fails meanwhile.

use std::net::Ipv4Addr;

use synctv_testkit::{
    frames,
    redis::Redis,
    rtmp::{Client, Refused, RtmpPeer},
    server::TestServer,
    socket::{dial, dial_from},
    wait::poll_until,
};

use crate::{LONG_LEASE, SHORT_LEASE, node};

const OWN: &str = "r?key=own";
const OTHER: &str = "r?key=other";

fn publish(server: &TestServer, stream_name: &str) -> Result<RtmpPeer, Refused> {
    RtmpPeer::start(dial(server.rtmp), Client::publisher("live", stream_name))
}

/// Publishes the room at `server`, which drains then. Returns when the publisher was disconnected.
fn drain(server: &TestServer) {
    let mut publisher = publish(server, OWN).expect("the room is free");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    server.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    server.log.find("the move", |line| line.says("publisher is moved", "r"));
}

#[test]
fn another_publisher_is_refused_until_their_own_is_there() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--handover-s", "300"]].concat();
    let nodes = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &flags));
    drain(&nodes[0]);
    for server in &nodes[1..] {
        let refused = publish(server, OTHER).expect_err("the room is kept");
        assert_eq!(refused.code, "NetStream.Publish.BadName");
    }
    let back = publish(&nodes[2], OWN).expect("the room is kept for it");
    assert_eq!(publish(&nodes[1], OWN).expect_err("it is published").code, "NetStream.Publish.BadName");
    back.unpublish();
    poll_until("the room is free", || publish(&nodes[1], OTHER).ok());
}

/// Without a token or a key, its address is all that a publisher is known by.
#[test]
fn a_publisher_at_another_address_is_refused() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--handover-s", "300"]].concat();
    let (n1, n2) = (node("n1", &redis.url(), &flags), node("n2", &redis.url(), &flags));
    let mut publisher = publish(&n1, "r").expect("the room is free");
    n1.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    let elsewhere = dial_from(Ipv4Addr::new(127, 0, 0, 2), n2.rtmp);
    let refused = RtmpPeer::start(elsewhere, Client::publisher("live", "r")).expect_err("the room is kept");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    assert_eq!(publish(&n2, "r?key=1").expect_err("it has a key").code, "NetStream.Publish.BadName");
    publish(&n2, "r").expect("the room is kept for it");
}

#[test]
fn they_are_anyones_when_their_own_does_not_come_back() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--handover-s", "2"]].concat();
    let (n1, n2) = (node("n1", &redis.url(), &flags), node("n2", &redis.url(), &flags));
    drain(&n1);
    poll_until("the room is free", || publish(&n2, OTHER).ok());
}

#[test]
fn nothing_is_kept_if_that_is_turned_off() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--handover-s", "0"]].concat();
    let (n1, n2) = (node("n1", &redis.url(), &flags), node("n2", &redis.url(), &flags));
    let mut publisher = publish(&n1, OWN).expect("the room is free");
    n1.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    poll_until("the room is free", || publish(&n2, OTHER).ok());
    assert_eq!(redis.ask(&["HEXISTS", "synctv:claims", "o:r"]), ["0"]);
}

#[test]
fn a_node_that_is_killed_on_the_way_blocks_no_room() {
    let redis = Redis::start(&[]);
    let flags = ["--handover-s", "2"];
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[flags, SHORT_LEASE].concat()));
    drain(&n1);
    n1.signal("KILL");
    let back = publish(&n2, OWN).expect("the room is kept for it");
    n2.signal("KILL");
    drop(back);
    let n3 = node("n3", &redis.url(), &flags);
    poll_until("the room is free", || publish(&n3, OTHER).ok());
}

#[test]
fn a_redis_that_is_lost_on_the_way_blocks_no_room() {
    let mut redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &redis.url(), &[]));
    drain(&n1);
    redis.kill();
    redis.start_again();
    poll_until("the room is free", || publish(&n2, OTHER).ok());
}
