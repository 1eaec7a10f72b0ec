//! Values that are known at a scrape.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

/// Labels of one value: names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The values of one metric.
#[derive(Debug)]
pub(super) struct Constant {
    kind: Kind,
    values: Vec<(Labels, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Adds values to what is scraped.
pub(super) struct Values<'r>(pub &'r mut Registry);

impl Values<'_> {
    /// Adds a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    /// Adds a gauge with labels.
    pub fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        self.0.register(name, help, Constant { kind: Kind::Gauge, values: values.into_iter().collect() });
    }

    /// Adds a counter.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help, [(Vec::new(), value)]);
    }

    /// Adds a counter with labels.
    pub fn counters(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        self.0.register(name, help, Constant { kind: Kind::Counter, values: values.into_iter().collect() });
    }
}

/// Returns the labels of a value that has one.
pub(super) fn labels(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

impl EncodeMetric for Constant {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.values {
            if labels.is_empty() {
                self.kind.encode(&mut encoder, *value)?;
            } else {
                self.kind.encode(&mut encoder.encode_family(labels)?, *value)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl Kind {
    fn encode(self, encoder: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
        match self {
            Self::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
            Self::Gauge => encoder.encode_gauge(&value),
        }
    }
}
