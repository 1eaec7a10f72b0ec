//! HTTP-FLV viewers, and the worker threads that serve them.

mod placement;
mod viewer_pool;
pub mod viewers;
