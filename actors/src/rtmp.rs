//! RTMP connections: publishers and players.

mod connection;

pub use self::connection::{Admission, NewConnection, RtmpConnectionActor, RtmpSettings};
