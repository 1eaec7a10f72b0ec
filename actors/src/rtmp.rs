//! RTMP connections: publishers, players, and those that are neither yet.

mod admission;
mod connection;
mod connections;
mod conversation;
mod player;
mod read_coalescing;
mod read_loop;
mod round_trip;
mod settings;

pub use self::{
    admission::Admission,
    connection::RtmpConnectionActor,
    connections::RtmpConnections,
    settings::{NewConnection, RtmpServices, RtmpSettings},
};
pub(crate) use self::{connection::PublisherRestorer, player::RtmpPlayer};
