//! Segments of this node's rooms.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{histogram::Histogram, metric_set::MetricSet};

/// The bounds of a segment's duration, in seconds.
const SEGMENT_BOUNDS_S: &[f64] = &[0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 20.0];

/// The metrics of HLS on a node.
#[derive(Debug, Clone)]
pub struct HlsMetrics {
    /// Segments that were finished.
    pub segments: Counter,
    /// Their durations.
    pub segment: Histogram,
    /// Their bytes.
    pub segment_bytes: Counter,
    /// Segments that could not be written.
    pub storage_errors: Counter,
    /// Requests that are held until there is something new.
    pub held_requests: Gauge,
}

/// Counts a request as held until it is dropped.
#[derive(Debug)]
pub struct HeldMark(Gauge);

impl Drop for HeldMark {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for HlsMetrics {
    fn default() -> Self {
        Self {
            segments: Counter::default(),
            segment: Histogram::new(SEGMENT_BOUNDS_S),
            segment_bytes: Counter::default(),
            storage_errors: Counter::default(),
            held_requests: Gauge::default(),
        }
    }
}

impl HlsMetrics {
    /// Counts a finished segment.
    pub(crate) fn note_segment(&self, duration: Duration, size_bytes: usize) {
        self.segments.inc();
        self.segment.observe(duration);
        self.segment_bytes.inc_by(size_bytes as u64);
    }

    /// Counts a request that is held, here or by the node that publishes the room.
    pub fn hold(&self) -> HeldMark {
        self.held_requests.inc();
        HeldMark(self.held_requests.clone())
    }

    /// Registers them under their names.
    pub fn register(&self, registry: &mut MetricSet) {
        registry.register("hls_segments", "Segments that were finished", self.segments.clone());
        registry.register("hls_segment_seconds", "Durations of finished segments", self.segment.clone());
        registry.register("hls_segment_bytes", "Bytes of finished segments", self.segment_bytes.clone());
        registry.register(
            "hls_storage_errors",
            "Segments that could not be written",
            self.storage_errors.clone(),
        );
        registry.register(
            "hls_held_requests",
            "Requests that are held until there is something new",
            self.held_requests.clone(),
        );
    }
}
