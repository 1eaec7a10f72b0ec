//! Viewers that a stream's bytes are written to as they are, HTTP-FLV viewers and RTMP players, and the worker threads that
//! serve them.

mod departures;
mod inbox;
mod kind;
mod messages;
mod player;
mod pool_state;
mod restoring;
mod room_viewers;
#[cfg(test)]
mod tests;
mod viewer;
mod viewer_pool;

pub use self::{
    kind::ViewerKind,
    messages::NewViewer,
    viewer_pool::{PoolEntry, ViewerPool},
};
pub(crate) use self::{
    messages::NewPlayer,
    player::{Player, PlayerRequest},
    restoring::ViewersRestorer,
};
