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
mod scrape_turns;
mod upgrade;
mod worker_lag;

pub(crate) use self::upgrade::MetricsState;
pub use self::{
    args::{MetricsAddr, MetricsArgs},
    node::{NodeMetrics, NodeSources},
    port::serve,
    rooms::RoomSeries,
    scrape_turns::ScrapeTurns,
    worker_lag::WorkerLag,
};
