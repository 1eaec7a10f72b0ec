//! A node that drains says so in its lease: other nodes name it, and none sends its publishers there. They are sent to the
//! node that started last.

use synctv_testkit::{
    frames,
    http::request_with,
    redis::Redis,
    rtmp::{Client, RtmpPeer},
    server::TestServer,
    socket::dial,
    wait::poll_until,
};

use crate::{LONG_LEASE, node};

/// A node that encoders reach at an address of its own.
fn reachable(id: &str, redis: &Redis, flags: &[&str]) -> TestServer {
    let url = format!("rtmp://{id}.test/live");
    node(id, &redis.url(), &[&LONG_LEASE[..], &["--advertise-rtmp-url", &url], flags].concat())
}

/// Waits until `server` says that exactly this node drains.
fn wait_until_known(server: &TestServer, drains: &str) {
    poll_until("the other node drains", || {
        let report = request_with(server.http, "GET", "/api/v1/nodes", &[]);
        let report: serde_json::Value = serde_json::from_slice(&report.body).ok()?;
        (report["draining"] == serde_json::json!([drains])).then_some(())
    });
}

/// Drains a node, and gives the address that its publisher is sent to.
fn sent_to(server: &TestServer) -> Option<String> {
    let client = Client::publisher("live?key=1", "r").taking_reconnect_requests();
    let mut publisher = RtmpPeer::start(dial(server.rtmp), client).expect("the room is free");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    server.signal("TERM");
    publisher.wait_for_status("NetConnection.Connect.ReconnectRequest");
    publisher.sent_to
}

#[test]
fn they_name_it_and_send_their_publishers_to_another() {
    let redis = Redis::start(&[]);
    let n1 = reachable("n1", &redis, &[]);
    let _n2 = reachable("n2", &redis, &[]);
    let n3 = reachable("n3", &redis, &["--drain-delay-s", "3600"]);
    n3.signal("TERM");
    wait_until_known(&n1, "n3");
    assert_eq!(redis.ask(&["HGET", "node:n3", "state"]), ["draining"]);
    assert_eq!(redis.ask(&["HGET", "node:n1", "state"]), ["serving"]);
    assert_eq!(sent_to(&n1).as_deref(), Some("rtmp://n2.test/live?key=1"), "the newest drains");
}

#[test]
fn a_publisher_goes_to_the_node_that_started_last() {
    let redis = Redis::start(&[]);
    let nodes = ["n1", "n3", "n2"].map(|id| reachable(id, &redis, &[]));
    assert_eq!(sent_to(&nodes[0]).as_deref(), Some("rtmp://n2.test/live?key=1"));
}
