//! Live streams: one `StreamActor` for each room, and the handles to it.

mod absence;
mod actor;
mod flush_timer;
mod handle;
mod ingest;
mod messages;
mod meters;
mod resumable;
mod stats;
mod subscribers;
mod succession;

pub(crate) use self::handle::NotLive;
pub use self::{
    handle::StreamHandle,
    messages::{Publication, PublishError, Refused},
    meters::{StreamCounts, StreamMeters},
    stats::{CountedViewer, StreamStats, ViewerCount},
};
