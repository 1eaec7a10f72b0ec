//! One metric for each value of a label.

use std::{fmt, marker::PhantomData, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, gauge::Gauge},
};

use super::{histogram::Histogram, label::Label};

/// A metric that can be one of several under one name.
pub trait Series: EncodeMetric {
    /// Returns `true` if it is left out of a scrape. A histogram is a dozen lines: one is left out until it is used.
    fn is_left_out(&self) -> bool {
        false
    }
}

impl Series for Counter {}

impl Series for Gauge {}

impl Series for Histogram {
    fn is_left_out(&self) -> bool {
        self.is_unused()
    }
}

/// One metric for each value of a label, all of which exist from the start: `rate()` misses the first event of a series
/// that begins with it. Clones share their metrics.
pub struct Labelled<L, M> {
    metrics: Arc<[M]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label, M> Labelled<L, M> {
    /// Makes the metrics.
    pub fn with(make: impl Fn() -> M) -> Self {
        Self { metrics: (0..L::COUNT).map(|_| make()).collect(), label: PhantomData }
    }

    /// Returns the metric of a value.
    pub fn get(&self, value: L) -> &M {
        &self.metrics[value.index()]
    }
}

impl<L: Label, M: Default> Default for Labelled<L, M> {
    fn default() -> Self {
        Self::with(M::default)
    }
}

impl<L, M> Clone for Labelled<L, M> {
    fn clone(&self) -> Self {
        Self { metrics: self.metrics.clone(), label: PhantomData }
    }
}

impl<L, M> fmt::Debug for Labelled<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").field("metrics", &self.metrics.len()).finish()
    }
}

impl<L: Label, M: Series> EncodeMetric for Labelled<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let series = self.metrics.iter().enumerate().filter(|(_, metric)| !metric.is_left_out());
        for (index, metric) in series {
            metric.encode(encoder.encode_family(&L::pairs_at(index))?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.metrics.first().map_or(MetricType::Unknown, EncodeMetric::metric_type)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::prometheus_text, metrics::counter::Counter, registry::Registry};

    use super::*;
    use crate::metrics::label::label;

    label!(
        /// A label of the tests.
        Fruit, "fruit" { Apple = "apple", Pear = "pear" }
    );

    label!(
        /// Another one.
        Size, "size" { Small = "small", Large = "large" }
    );

    #[test]
    fn every_pair_of_values_has_a_series_from_the_start() {
        let counters: Labelled<(Fruit, Size), Counter> = Labelled::default();
        counters.get((Fruit::Pear, Size::Small)).inc_by(7);
        let mut registry = Registry::default();
        registry.register("eaten", "Fruit", counters);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            r#"eaten_total{fruit="apple",size="small"} 0"#,
            r#"eaten_total{fruit="apple",size="large"} 0"#,
            r#"eaten_total{fruit="pear",size="small"} 7"#,
            r#"eaten_total{fruit="pear",size="large"} 0"#,
        ];
        assert_eq!(values, expected);
    }
}
