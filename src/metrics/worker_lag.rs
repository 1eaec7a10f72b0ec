//! The delay of timers on the threads that serve: the earliest sign of overload.

use std::time::Duration;

use synctv_actors::metrics::{Histogram, MetricSet};
use tokio::time::{Instant, sleep_until};

/// Interval at which a thread is measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// The bounds of the delay, in seconds.
const BOUNDS_S: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// Measures how late a timer fires on each thread that serves. Clones count together.
#[derive(Debug, Clone)]
pub struct WorkerLag(Histogram);

impl Default for WorkerLag {
    fn default() -> Self {
        Self(Histogram::new(BOUNDS_S))
    }
}

impl WorkerLag {
    /// Measures the current thread from now on, until its runtime ends.
    pub fn watch_thread(&self) {
        let histogram = self.0.clone();
        actix_rt::spawn(async move {
            loop {
                let due = Instant::now() + INTERVAL;
                sleep_until(due).await;
                histogram.observe(due.elapsed());
            }
        });
    }

    /// Registers it under its name.
    pub fn register(&self, registry: &mut MetricSet) {
        let help = "Delay of a timer of 1 s on each thread that serves";
        registry.register("worker_lag_seconds", help, self.0.clone());
    }
}
