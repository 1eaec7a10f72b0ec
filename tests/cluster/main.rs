//! Nodes that share a Redis, each a process of its own: one module a promise.

#[path = "../server/support/mod.rs"]
#[allow(dead_code, reason = "shared with tests/server, which uses all of it")]
mod support;

mod redis;

mod nodes_leave_in_order;
mod passwords_are_not_shown;
mod rooms_are_claimed_once;
mod rooms_outlive_redis;
mod starts_are_decided;
mod the_example_leaves_nothing_behind;

use support::server::Server;

/// Starts a node with a short lease. Its publishers may be silent for long.
fn node(id: &str, redis_url: &str, flags: &[&str]) -> Server {
    let common = ["--node-id", id, "--redis-url", redis_url, "--publisher-timeout-s", "60"];
    let short = ["--lease-ttl-ms", "1500", "--claim-ttl-s", "5", "--publisher-grace-s", "1"];
    Server::start(&[&common[..], &short, flags].concat())
}
