//! Nodes that share a Redis, each a process of its own: one module a promise.

use std::time::Duration;

mod drains_are_known_to_all_nodes;
mod drains_take_their_time;
mod every_node_knows_all_rooms;
mod hls_is_the_same_on_all_nodes;
mod hls_moves_with_the_room;
mod hls_node;
mod moves_outlive_crashes;
mod nodes_leave_in_order;
mod numbers_never_go_back;
mod passwords_are_not_shown;
mod publishers_move_before_their_keyframes;
mod publishers_move_without_a_gap;
mod redis_is_shared_with_others;
mod redis_loses_its_data;
mod rolling_restarts_go_on;
mod rooms_are_claimed_once;
mod rooms_are_kept_for_their_publishers;
mod rooms_are_pulled_once;
mod rooms_outlive_redis;
mod segments_outlive_a_move;
mod starts_are_decided;
mod the_example_leaves_nothing_behind;
mod viewers_leave_evenly;
mod viewers_outlive_redis;
mod viewers_outlive_their_publishers_node;

use synctv_testkit::{
    rtmp::RtmpPeer,
    server::{TestServer, program},
    wait::poll_until,
};

/// The lease of a [`node`]. A busy machine renews it in time, which a shorter one would not survive, and renewals still come soon:
/// each 2 s.
const LEASE: Duration = Duration::from_secs(6);

/// The lease of a node that is to lose it, for tests that wait for its end.
const SHORT_LEASE: [&str; 2] = ["--lease-ttl-ms", "1500"];

/// The lifetime of a [`SHORT_LEASE`].
const SHORT_LEASE_TTL: Duration = Duration::from_millis(1500);

/// A lease that outlasts every test: what happens within it does not wait for its end.
const LONG_LEASE: [&str; 2] = ["--lease-ttl-ms", "60000"];

/// Starts a node with a [`LEASE`], unless a flag sets another. Its publishers may be silent for long.
fn node(id: &str, redis_url: &str, flags: &[&str]) -> TestServer {
    let mut command = program();
    command.env("NODE_ID", id).env("REDIS_URL", redis_url).env("PUBLISHER_TIMEOUT_S", "60");
    command.env("LEASE_TTL_MS", LEASE.as_millis().to_string()).env("CLAIM_TTL_S", "5");
    command.env("PUBLISHER_GRACE_S", "1").args(flags);
    TestServer::of(command)
}

/// Publishes as soon as the node lets it.
fn publish_when_free(server: &TestServer, room: &str) -> RtmpPeer {
    poll_until("the room is free", || RtmpPeer::try_publish(server, room).ok())
}
