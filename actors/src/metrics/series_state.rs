//! The counts of series, as plain data.

use serde::{Deserialize, Serialize};

/// Names and values of a series' labels, in the order in which they are exposed.
pub type Labels = Vec<(String, String)>;

/// The count of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CountState {
    /// A counter.
    Counter(u64),
    /// A histogram.
    Histogram {
        /// The upper bounds of its buckets, in seconds. A histogram with other bounds cannot use the counts.
        bounds_s: Vec<f64>,
        /// Durations in each bucket; the last one has no bound.
        counts: Vec<u64>,
        /// Their sum, in nanoseconds.
        sum_ns: u64,
    },
}

/// A series, for the next program to go on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    /// The name under which it is registered.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its count.
    pub count: CountState,
}
