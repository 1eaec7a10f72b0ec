//! Nodes that share rooms, over real sockets: each is a server with its own threads and ports in this process, and what
//! they share is in memory. One module a promise.

mod any_node_serves_any_room;
mod nodes_serve_each_other_only_their_own_rooms;
mod viewers_follow_their_room;
mod webrtc_players_are_answered_by_any_node;
mod webrtc_sessions_are_reached_from_any_node;
