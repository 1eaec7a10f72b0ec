//! RTMP connections: publishers and players.

mod connection;

pub use self::connection::{NewConnection, RtmpConnectionActor, RtmpSettings};
