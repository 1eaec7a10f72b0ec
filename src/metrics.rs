//! The port of metrics: what a node counts, for Prometheus.
//!
//! The features count; see `synctv_actors::metrics`. Here is what a scrape adds to that: the values that are only known
//! at a scrape (`node`), those of the process (`process`), and those of single rooms (`rooms`), if they are wanted.

mod args;
mod constant;
mod node;
mod port;
mod process;
mod rooms;
mod worker_lag;

pub use self::{
    args::{MetricsAddr, MetricsArgs},
    node::{NodeMetrics, NodeSources},
    port::serve,
    worker_lag::WorkerLag,
};
