//! The metrics of a node, for scrapes and for upgrades in place.

use std::fmt;

use prometheus_client::{encoding::EncodeMetric, registry::Registry};

use super::{
    carried::Carried,
    series_state::{Labels, SeriesState},
};

/// The metrics of a node, under their names.
pub struct MetricSet {
    registry: Registry,
    carried: Vec<Entry>,
}

struct Entry {
    name: String,
    /// Labels of all its series, in front of their own.
    labels: Labels,
    metric: Box<dyn Carried + Send + Sync>,
}

impl MetricSet {
    /// An empty set, whose names get this prefix in a scrape.
    pub fn with_prefix(prefix: &str) -> Self {
        Self { registry: Registry::with_prefix(prefix), carried: Vec::new() }
    }

    /// Adds a metric, which is scraped and carried.
    pub fn register<M>(&mut self, name: &str, help: &str, metric: M)
    where
        M: EncodeMetric + Carried + Clone + fmt::Debug + Send + Sync + 'static,
    {
        self.carry(name, &[], metric.clone());
        self.registry.register(name, help, metric);
    }

    /// Adds counts that are only carried: the caller writes them into each scrape itself.
    pub fn carry(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        metric: impl Carried + Send + Sync + 'static,
    ) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.carried.push(Entry { name: name.to_owned(), labels, metric: Box::new(metric) });
    }

    /// Returns the metrics that are scraped.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the counts of all series, for the next program.
    pub fn counts(&self) -> Vec<SeriesState> {
        let series = self.carried.iter().flat_map(|Entry { name, labels, metric }| {
            metric.counts().into_iter().map(move |(own, count)| SeriesState {
                name: name.clone(),
                labels: [labels.clone(), own].concat(),
                count,
            })
        });
        series.collect()
    }

    /// Adds the counts of the last program. Call this before the first scrape. Returns the number of series that
    /// this program does not have.
    pub fn resume(&self, series: &[SeriesState]) -> usize {
        let is_unknown = |SeriesState { name, labels, count }: &&SeriesState| {
            let mut named = self.carried.iter().filter(|entry| entry.name == *name);
            !named.any(|entry| {
                labels.strip_prefix(&entry.labels[..]).is_some_and(|own| entry.metric.add(own, count))
            })
        };
        series.iter().filter(is_unknown).count()
    }
}

impl fmt::Debug for MetricSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSet").field("carried", &self.carried.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, time::Duration};

    use prometheus_client::{
        encoding::prometheus_text,
        metrics::{counter::Counter, gauge::Gauge},
    };

    use super::*;
    use crate::metrics::{Histogram, Labelled, label::label};

    label!(
        /// A label of the tests.
        Fruit, "fruit" { Apple = "apple", Pear = "pear" }
    );

    #[derive(Clone)]
    struct Counts {
        eaten: Labelled<Fruit, Counter>,
        seconds: Histogram,
        left: Gauge,
        refused: Counter,
    }

    fn counts(bounds_s: &'static [f64]) -> Counts {
        Counts {
            eaten: Labelled::default(),
            seconds: Histogram::new(bounds_s),
            left: Gauge::default(),
            refused: Counter::default(),
        }
    }

    fn set(counts: &Counts) -> MetricSet {
        let mut set = MetricSet::with_prefix("p");
        set.register("eaten", "Fruit that was eaten", counts.eaten.clone());
        set.register("seconds", "Time that it took", counts.seconds.clone());
        set.register("left", "Fruit that is left", counts.left.clone());
        set.carry("refused", &[("port", "a")], counts.refused.clone());
        set
    }

    fn scrape(set: &MetricSet) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, set.registry()).unwrap();
        text
    }

    #[test]
    fn the_next_program_goes_on_counting_and_its_gauges_show_what_there_is() {
        let before = counts(&[0.1, 1.0]);
        before.eaten.get(Fruit::Pear).inc_by(7);
        before.seconds.observe(Duration::from_millis(50));
        before.seconds.observe(Duration::from_secs(9));
        before.left.set(3);
        before.refused.inc_by(2);
        let after = counts(&[0.1, 1.0]);
        // Something may be counted before the state is read.
        after.eaten.get(Fruit::Pear).inc();
        assert_eq!(set(&after).resume(&set(&before).counts()), 0);
        let text = scrape(&set(&after));
        for line in [
            r#"p_eaten_total{fruit="pear"} 8"#,
            r#"p_eaten_total{fruit="apple"} 0"#,
            "p_seconds_count 2",
            "p_seconds_sum 9.05",
            "p_left 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} in {text}");
        }
        assert_eq!((after.seconds.counts(), after.refused.get()), (vec![1, 0, 1], 2));
    }

    #[test]
    fn series_that_this_program_does_not_have_are_dropped() {
        let before = counts(&[0.1, 1.0]);
        before.seconds.observe(Duration::from_millis(50));
        before.eaten.get(Fruit::Apple).inc();
        let mut states = set(&before).counts();
        states[0].labels[0].1 = "plum".to_owned();
        states.push(SeriesState { name: "drunk".to_owned(), ..states[0].clone() });
        states.push(SeriesState { labels: Vec::new(), ..states[0].clone() });
        let after = counts(&[0.1, 2.0]);
        assert_eq!(set(&after).resume(&states), 4, "with other bounds as well");
        assert!(set(&after).counts().is_empty());
    }

    #[test]
    fn counts_of_the_process_are_carried() {
        static LINES: AtomicU64 = AtomicU64::new(5);
        let mut set = MetricSet::with_prefix("p");
        set.carry("lines", &[("level", "info")], &LINES);
        let counts = set.counts();
        assert_eq!((set.resume(&counts), LINES.load(std::sync::atomic::Ordering::Relaxed)), (0, 10));
    }
}
