//! Where rooms are published, as the registry tells others.

pub use synctv_media::cluster::claims::NodeAddresses;
use synctv_media::stream::room::RoomName;

/// The request header by which a node asks for what its own viewers want; its value is that node's name and signature
/// ([`NodeKeys::sign`](crate::access::NodeKeys::sign)). It is answered only from what is published here, so that no room
/// goes round in circles.
pub const PULL_HEADER: &str = "synctv-pull";

/// The node that publishes a room, seen from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The node's name.
    pub node: String,
    /// The epoch of its claim on the room.
    pub epoch: u64,
    /// Where it can be reached.
    pub addresses: NodeAddresses,
}

/// A room that someone publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRoom {
    /// The room.
    pub room: RoomName,
    /// The name of the publisher's node.
    pub node: String,
    /// When it was claimed, in milliseconds since 1970, UTC.
    pub since_unix_ms: u64,
}
