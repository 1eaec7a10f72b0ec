//! Addresses of rooms' publishers, as the registry answers.

pub use synctv_media::cluster::claims::NodeAddresses;
use synctv_media::{cluster::standing::NodeStanding, stream::room::RoomName};

/// The request header by which a node asks for what its own viewers want; its value is that node's name and signature
/// ([`NodeKeys::sign`](crate::access::NodeKeys::sign)). It is answered only from what is published here, so that no room
/// goes round in circles.
pub const PULL_HEADER: &str = "synctv-pull";

/// The header of an answer to such a request that says that the room's publisher has left this node: the room may be
/// elsewhere by now.
pub const LEFT_HEADER: &str = "synctv-left";

/// The node that publishes a room, seen from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The node's name.
    pub node: String,
    /// The epoch of its claim on the room.
    pub epoch: u64,
    /// The addresses of its ports.
    pub addresses: NodeAddresses,
}

/// Another node that is alive, as its lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveNode {
    /// The node's name.
    pub name: String,
    /// The addresses of its ports.
    pub addresses: NodeAddresses,
    /// The standing of its process, as its lease reports it.
    pub standing: NodeStanding,
}

/// A node that has published a room, as the one that asks sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOrigin {
    /// The node's name.
    pub node: String,
    /// The HLS port, unless HLS is off there.
    pub hls: Option<String>,
    /// Its segments have this number or a higher one.
    pub first_sequence: u64,
    /// It is the process that asks.
    pub is_own: bool,
    /// It lives, or gave the room back so recently that it may still have what it cut.
    pub may_answer: bool,
}

/// The present and the past holder of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The other, living node that publishes it.
    pub current: Option<Origin>,
    /// The room is kept for its publisher, whom its node asked to reconnect.
    pub is_reserved: bool,
    /// The nodes that have published it, oldest first, the current one among them.
    pub holders: Vec<PastOrigin>,
}

/// The trace of a store that knows of the present only.
impl From<Option<Origin>> for Trace {
    fn from(current: Option<Origin>) -> Self {
        Self { current, is_reserved: false, holders: Vec::new() }
    }
}

/// A room that someone publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRoom {
    /// The room.
    pub room: RoomName,
    /// The name of the publisher's node.
    pub node: String,
    /// Time of the claim, in milliseconds since 1970, UTC.
    pub since_unix_ms: u64,
}
