//! Durations, counted by how long they are.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::series_state::CountState;

/// Counts durations in buckets. Clones share what they count.
///
/// The library's own histogram takes a lock, which the threads that send media would contend for; this one is atomics. A
/// scrape may so see a duration in its bucket and not yet in the sum.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Upper bounds in seconds, in their order.
    bounds_s: &'static [f64],
    /// One for each bound, and one for all that is longer.
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Makes a histogram with these upper bounds, in seconds and in their order.
    pub fn new(bounds_s: &'static [f64]) -> Self {
        let counts = (0..=bounds_s.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds_s, counts, sum_ns: AtomicU64::new(0) }))
    }

    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let inner = &*self.0;
        let seconds = duration.as_secs_f64();
        let bucket = inner.bounds_s.partition_point(|bound| *bound < seconds);
        if let Some(count) = inner.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        inner.sum_ns.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns whether nothing was counted yet.
    pub fn is_unused(&self) -> bool {
        self.0.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// Returns how many durations there are in each bucket; the last one has no upper bound.
    pub fn counts(&self) -> Vec<u64> {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The state for the next program, unless nothing was counted.
    pub(super) fn state(&self) -> Option<CountState> {
        let counts = self.counts();
        let is_used = counts.iter().any(|count| *count > 0);
        let Inner { bounds_s, sum_ns, .. } = &*self.0;
        let (bounds_s, sum_ns) = (bounds_s.to_vec(), sum_ns.load(Ordering::Relaxed));
        is_used.then_some(CountState::Histogram { bounds_s, counts, sum_ns })
    }

    /// Adds what another program has counted, if the bounds are the same. Returns whether they are.
    pub(super) fn resume(&self, state: &CountState) -> bool {
        let CountState::Histogram { bounds_s, counts, sum_ns } = state else { return false };
        let inner = &*self.0;
        if bounds_s != inner.bounds_s || counts.len() != inner.counts.len() {
            return false;
        }
        for (count, more) in inner.counts.iter().zip(counts) {
            count.fetch_add(*more, Ordering::Relaxed);
        }
        inner.sum_ns.fetch_add(*sum_ns, Ordering::Relaxed);
        true
    }

    /// Returns the bucket bound, in seconds, that a share of the durations does not exceed, of those counted between two
    /// results of [`counts`](Self::counts). `None` if there are none, or if that many are beyond all bounds.
    pub fn quantile_s(&self, share: f64, before: &[u64], after: &[u64]) -> Option<f64> {
        let between = || after.iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
        let rank = (between().sum::<u64>() as f64 * share).ceil();
        let mut reached = 0.0;
        let bucket = between().position(|count| {
            reached += count as f64;
            rank > 0.0 && reached >= rank
        })?;
        self.0.bounds_s.get(bucket).copied()
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let bounds = self.0.bounds_s.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum_s = Duration::from_nanos(self.0.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum_s, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    /// A histogram is a dozen lines: it is left out of scrapes until something was counted.
    fn is_empty(&self) -> bool {
        self.is_unused()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text, registry::Registry};

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn durations_are_counted_up_to_and_with_the_bound_of_their_bucket() {
        let histogram = Histogram::new(&[0.01, 0.1]);
        [ms(1), ms(10), ms(11), ms(5000)].into_iter().for_each(|duration| histogram.observe(duration));
        assert_eq!(histogram.counts(), [2, 1, 1]);
        let mut registry = Registry::default();
        registry.register("delay_seconds", "Delay", histogram);
        let mut written = String::new();
        text::encode(&mut written, &registry).unwrap();
        for line in [
            r#"delay_seconds_bucket{le="0.01"} 2"#,
            r#"delay_seconds_bucket{le="0.1"} 3"#,
            r#"delay_seconds_bucket{le="+Inf"} 4"#,
            "delay_seconds_count 4",
            "delay_seconds_sum 5.022",
        ] {
            assert!(written.lines().any(|written| written == line), "{line} in {written}");
        }
    }

    #[test]
    fn a_quantile_is_of_what_came_between() {
        let histogram = Histogram::new(&[0.01, 0.1, 1.0]);
        (0..100).for_each(|_| histogram.observe(ms(500)));
        let before = histogram.counts();
        assert_eq!(histogram.quantile_s(0.99, &before, &before), None);
        (0..98).for_each(|_| histogram.observe(ms(5)));
        (0..2).for_each(|_| histogram.observe(ms(50)));
        let after = histogram.counts();
        assert_eq!(histogram.quantile_s(0.5, &before, &after), Some(0.01));
        assert_eq!(histogram.quantile_s(0.99, &before, &after), Some(0.1));
        (0..100).for_each(|_| histogram.observe(ms(9999)));
        assert_eq!(histogram.quantile_s(0.99, &before, &histogram.counts()), None);
    }
}
