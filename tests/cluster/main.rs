//! Nodes that share a Redis, each a process of its own: one module a promise.

use std::time::Duration;

mod every_node_knows_all_rooms;
mod hls_is_the_same_on_all_nodes;
mod nodes_leave_in_order;
mod passwords_are_not_shown;
mod rooms_are_claimed_once;
mod rooms_are_pulled_once;
mod rooms_outlive_redis;
mod starts_are_decided;
mod the_example_leaves_nothing_behind;
mod viewers_outlive_redis;
mod viewers_outlive_their_publishers_node;

use synctv_testkit::{rtmp::RtmpPeer, server::TestServer, wait::poll_until};

/// The lease of a [`node`].
const LEASE: Duration = Duration::from_millis(1500);

/// Starts a node with a short lease. Its publishers may be silent for long.
fn node(id: &str, redis_url: &str, flags: &[&str]) -> TestServer {
    let common = ["--node-id", id, "--redis-url", redis_url, "--publisher-timeout-s", "60"];
    let lease_ms = LEASE.as_millis().to_string();
    let short = ["--lease-ttl-ms", &lease_ms, "--claim-ttl-s", "5", "--publisher-grace-s", "1"];
    TestServer::start(&[&common[..], &short, flags].concat())
}

/// Publishes as soon as the node lets it.
fn publish_when_free(server: &TestServer, room: &str) -> RtmpPeer {
    poll_until("the room is free", || RtmpPeer::try_publish(server, room).ok())
}
