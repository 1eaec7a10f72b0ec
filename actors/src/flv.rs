//! HTTP-FLV viewers, and the worker threads that serve them.

mod messages;
mod placement;
mod pool_state;
mod viewer_pool;
mod viewers;

pub use self::{
    messages::{NewViewer, ViewerKind},
    viewer_pool::{PoolEntry, ViewerPool},
};
