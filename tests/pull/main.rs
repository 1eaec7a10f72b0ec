//! Nodes that share rooms, over real sockets: each is a server with its own threads and ports in this process, and what
//! they share is in memory. One module a promise.

mod any_node_serves_any_room;
mod nodes_and_viewers_are_told_apart;
mod viewers_follow_their_room;
