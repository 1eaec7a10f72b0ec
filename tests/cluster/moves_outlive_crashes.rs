//! A node or a Redis that dies in any step of a room's move holds up nothing: a drain that is under way ends, the publisher may
//! come back, and once the reservation and the lease have lapsed, anyone may take the room.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request_with,
    redis::Redis,
    rtmp::{Client, Refused, RtmpPeer},
    server::TestServer,
    socket::dial,
    wait::poll_until,
};

use crate::{LONG_LEASE, SHORT_LEASE, node};

const OWN: &str = "r?key=own";
const OTHER: &str = "r?key=other";

/// Three nodes that keep a room for 2 s, behind the 10 s that a publisher has to leave.
fn three_nodes(redis: &Redis, flags: &[&str]) -> [TestServer; 3] {
    three_nodes_of_which_dies("none", redis, flags)
}

/// Three such nodes, of which one has a lease that lapses soon after its death.
fn three_nodes_of_which_dies(dies: &str, redis: &Redis, flags: &[&str]) -> [TestServer; 3] {
    let flags = [&["--handover-s", "2", "--drain-timeout-s", "4"], flags].concat();
    ["n1", "n2", "n3"].map(|id| {
        let lease = if id == dies { &SHORT_LEASE[..] } else { &[] };
        node(id, &redis.url(), &[&flags, lease].concat())
    })
}

fn publish(server: &TestServer, stream_name: &str) -> Result<RtmpPeer, Refused> {
    let client = Client::publisher("live", stream_name).taking_reconnect_requests();
    RtmpPeer::start(dial(server.rtmp), client)
}

fn publish_keyframe(server: &TestServer, frame: &Frame) -> RtmpPeer {
    let mut publisher = publish(server, OWN).expect("the room is its own");
    publisher.send_all(&frames::video_headers());
    publisher.send(frame);
    publisher
}

/// Publishes the room at a node that drains then, and waits until the publisher is asked to go: the room is reserved.
fn asked_to_go(server: &TestServer) -> RtmpPeer {
    let mut publisher = publish_keyframe(server, &frames::keyframe(0, 0));
    drain(server, &mut publisher);
    publisher
}

fn drain(server: &TestServer, publisher: &mut RtmpPeer) {
    server.signal("TERM");
    publisher.wait_for_status("NetConnection.Connect.ReconnectRequest");
}

fn wait_until_anyone_may_publish(server: &TestServer) {
    poll_until("the room is free", || publish(server, OTHER).ok());
}

fn wait_until_it_drains(server: &TestServer) {
    poll_until("it drains", || {
        let ready = request_with(server.http, "GET", "/readyz", &[]);
        (ready.status == 503 && ready.text().contains("draining")).then_some(())
    });
}

#[test]
fn of_the_old_node_when_it_has_announced_its_drain() {
    let redis = Redis::start(&[]);
    let [n1, n2, _] = three_nodes_of_which_dies("n1", &redis, &["--drain-delay-s", "3600"]);
    let _publisher = publish_keyframe(&n1, &frames::keyframe(0, 0));
    n1.signal("TERM");
    wait_until_it_drains(&n1);
    n1.signal("KILL");
    wait_until_anyone_may_publish(&n2);
}

#[test]
fn of_the_old_node_when_the_room_is_reserved() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes(&redis, &LONG_LEASE);
    let _publisher = asked_to_go(&n1);
    n1.signal("KILL");
    let refused = publish(&n2, OTHER).expect_err("the room is kept");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    let back = publish(&n3, OWN).expect("the room is kept for it, though its old node's lease lasts");
    back.unpublish();
    wait_until_anyone_may_publish(&n2);
}

/// The reservation lapses as the lease does: none of both is waited for twice.
#[test]
fn of_the_old_node_when_its_publisher_does_not_come_back() {
    let redis = Redis::start(&[]);
    let [n1, n2, _] = three_nodes_of_which_dies("n1", &redis, &[]);
    let _publisher = asked_to_go(&n1);
    n1.signal("KILL");
    wait_until_anyone_may_publish(&n2);
}

/// The old node has a claim that is lost and a publisher that sends: its viewers see it to the end of the drain.
#[test]
fn of_the_heir_before_viewers_see_its_publisher() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes_of_which_dies("n2", &redis, &[]);
    let mut before = publish_keyframe(&n1, &frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(&n1, "r");
    drain(&n1, &mut before);
    let after = publish(&n2, OWN).expect("the room is kept for it");
    n2.signal("KILL");
    drop(after);
    before.send(&frames::inter(40, 1));
    viewer.frames_until(&frames::inter(40, 1));
    wait_until_anyone_may_publish(&n3);
    assert_eq!(n1.wait_for_exit().code(), Some(0));
}

#[test]
fn of_the_heir_when_viewers_see_its_publisher() {
    let redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes_of_which_dies("n2", &redis, &["--publisher-grace-s", "60"]);
    let before = asked_to_go(&n1);
    let mut viewer = FlvViewer::open(&n3, "r");
    let after = publish_keyframe(&n2, &frames::keyframe(2_000, 1));
    before.unpublish();
    viewer.frames_until(&frames::keyframe(2_000, 1));
    n2.signal("KILL");
    drop(after);
    let mut back = poll_until("the lease has lapsed", || publish(&n3, OWN).ok());
    back.send_all(&frames::video_headers());
    back.send(&frames::keyframe(0, 2));
    viewer.frames_until(&frames::keyframe(0, 2));
    assert_eq!(n1.wait_for_exit().code(), Some(0));
}

#[test]
fn of_redis_when_the_room_is_reserved() {
    let mut redis = Redis::start(&[]);
    let [n1, n2, _] = three_nodes(&redis, &[]);
    let _publisher = asked_to_go(&n1);
    redis.kill();
    assert_eq!(n1.wait_for_exit().code(), Some(0), "its drain ends without Redis");
    redis.start_again();
    wait_until_anyone_may_publish(&n2);
}

#[test]
fn of_redis_when_the_heir_has_the_room() {
    let mut redis = Redis::start(&[]);
    let [n1, n2, n3] = three_nodes(&redis, &[]);
    let before = asked_to_go(&n1);
    let after = publish_keyframe(&n2, &frames::keyframe(2_000, 1));
    before.unpublish();
    redis.kill();
    assert_eq!(n1.wait_for_exit().code(), Some(0), "its drain ends without Redis");
    redis.start_again();
    poll_until("new rooms are taken", || RtmpPeer::try_publish(&n3, "new").ok());
    let refused = publish(&n3, OTHER).expect_err("the heir still has it");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    after.unpublish();
    wait_until_anyone_may_publish(&n3);
}
