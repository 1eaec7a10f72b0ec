//! Nodes that share rooms, over real sockets: each is a server with its own threads and ports in this process, and what
//! they share is in memory. One module a promise.

#[path = "../support/lives.rs"]
mod lives;
mod nodes;
#[path = "../server/support/mod.rs"]
#[allow(dead_code, reason = "most of it is for the tests of one server")]
mod support;

mod any_node_serves_any_room;
mod nodes_and_viewers_are_told_apart;
mod viewers_follow_their_room;
