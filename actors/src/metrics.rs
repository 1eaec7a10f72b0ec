//! Counters, gauges and histograms of a node.
//!
//! The handle of a feature owns the metrics of that feature and hands them to its actors, so that two nodes in one process
//! do not count into each other's. The root package registers them all under their names at the start. A counter is an
//! atomic that is held, with no look-up: what happens for each frame is counted in plain integers, and added once for each
//! flush, or once a second.

mod access;
mod age;
mod carried;
mod histogram;
mod hls;
mod label;
mod labelled;
mod metric_set;
mod registry;
mod series_state;
mod streams;

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

pub use self::{
    access::{AccessMetrics, CallbackOutcome, DecisionOutcome},
    age::Age,
    carried::Carried,
    histogram::Histogram,
    hls::{HeldMark, HlsMetrics},
    label::{Label, label},
    labelled::Labelled,
    metric_set::MetricSet,
    registry::{RegistryMetrics, RegistryOperation, RegistryOutcome},
    series_state::{CountState, Labels, SeriesState},
    streams::{
        FrameTrack, JoinOutcome, LeaveWhy, MoveHow, MoveOutcome, PublishOutcome, PublisherEnd, PullOutcome,
        StreamMetrics, ViewerProtocol,
    },
};
