//! One metric for each value of a label.

use std::{fmt, marker::PhantomData, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, gauge::Gauge},
};

use super::{histogram::Histogram, label::Label};

/// A metric that can be one of several under one name.
pub trait Series: EncodeMetric {
    /// Returns whether it has counted nothing.
    fn is_zero(&self) -> bool;
}

impl Series for Counter {
    fn is_zero(&self) -> bool {
        self.get() == 0
    }
}

impl Series for Gauge {
    fn is_zero(&self) -> bool {
        self.get() == 0
    }
}

impl Series for Histogram {
    fn is_zero(&self) -> bool {
        self.is_unused()
    }
}

/// One metric for each value of a label, all of which exist from the start: `rate()` misses the first event of a series
/// that begins with it. Histograms are the exception, as each is a dozen lines. Clones share their metrics.
pub struct Labelled<L, M> {
    metrics: Arc<[M]>,
    /// Names and values of labels whose series begin with their first event.
    rare: &'static [(&'static str, &'static str)],
    label: PhantomData<fn(L)>,
}

impl<L: Label, M> Labelled<L, M> {
    /// Makes the metrics.
    pub fn with(make: impl Fn() -> M) -> Self {
        Self { metrics: (0..L::COUNT).map(|_| make()).collect(), rare: &[], label: PhantomData }
    }

    /// Leaves series with one of these labels, by name and value, out of scrapes until something happens: most nodes never
    /// have any of them.
    pub fn with_rare(self, rare: &'static [(&'static str, &'static str)]) -> Self {
        Self { rare, ..self }
    }

    /// Returns the metrics of all values, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = &M> {
        self.metrics.iter()
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
        Self { metrics: self.metrics.clone(), rare: self.rare, label: PhantomData }
    }
}

impl<L, M> fmt::Debug for Labelled<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").field("metrics", &self.metrics.len()).finish()
    }
}

impl<L: Label, M: Series> EncodeMetric for Labelled<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (index, metric) in self.metrics.iter().enumerate() {
            let labels = L::pairs_at(index);
            let begins_later = metric.is_empty() || labels.iter().any(|label| self.rare.contains(label));
            if !(begins_later && metric.is_zero()) {
                metric.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.metrics.iter().all(EncodeMetric::is_empty)
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

    /// The samples of a metric.
    fn samples(metric: impl EncodeMetric + fmt::Debug + Send + Sync + 'static) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register("eaten", "Fruit", metric);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_pair_of_values_has_a_series_from_the_start() {
        let counters: Labelled<(Fruit, Size), Counter> = Labelled::default();
        counters.get((Fruit::Pear, Size::Small)).inc_by(7);
        let expected = [
            r#"eaten_total{fruit="apple",size="small"} 0"#,
            r#"eaten_total{fruit="apple",size="large"} 0"#,
            r#"eaten_total{fruit="pear",size="small"} 7"#,
            r#"eaten_total{fruit="pear",size="large"} 0"#,
        ];
        assert_eq!(samples(counters), expected);
    }

    #[test]
    fn rare_values_and_histograms_begin_with_their_first_event() {
        let counters: Labelled<(Fruit, Size), Counter> = Labelled::default().with_rare(&[("size", "large")]);
        counters.get((Fruit::Pear, Size::Large)).inc();
        let expected = [
            r#"eaten_total{fruit="apple",size="small"} 0"#,
            r#"eaten_total{fruit="pear",size="small"} 0"#,
            r#"eaten_total{fruit="pear",size="large"} 1"#,
        ];
        assert_eq!(samples(counters), expected);
        let histograms: Labelled<Fruit, Histogram> = Labelled::with(|| Histogram::new(&[1.0]));
        assert_eq!(samples(histograms.clone()), [""; 0]);
        histograms.get(Fruit::Pear).observe(std::time::Duration::from_millis(1));
        assert_eq!(samples(histograms).len(), 4);
    }
}
