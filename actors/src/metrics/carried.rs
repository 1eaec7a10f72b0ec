//! Counts over an upgrade in place: a scraper sees a counter that goes on, not one that begins anew.
//!
//! Counts have their names in a scrape, not their positions in this program, because the next program may have other metrics. It
//! drops names that it does not know, and its new metrics begin at 0. Gauges are not carried: they show the present.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    histogram::Histogram,
    label::Label,
    labelled::Labelled,
    series_state::{CountState, Labels},
};

/// A metric whose counts are carried. Series at 0 may be left out.
pub trait Carried {
    /// Returns the count of each series.
    fn counts(&self) -> Vec<(Labels, CountState)>;

    /// Adds the count of another program's series to the count since the start. Returns `false` if there is no such series.
    fn add(&self, labels: &[(String, String)], count: &CountState) -> bool;
}

fn of_counter(value: u64) -> Vec<(Labels, CountState)> {
    (value > 0).then(|| (Labels::new(), CountState::Counter(value))).into_iter().collect()
}

impl Carried for Counter {
    fn counts(&self) -> Vec<(Labels, CountState)> {
        of_counter(self.get())
    }

    fn add(&self, labels: &[(String, String)], count: &CountState) -> bool {
        let (true, CountState::Counter(value)) = (labels.is_empty(), count) else { return false };
        self.inc_by(*value);
        true
    }
}

/// A count outside of any registry, such as that of log lines.
impl Carried for &'static AtomicU64 {
    fn counts(&self) -> Vec<(Labels, CountState)> {
        of_counter(self.load(Ordering::Relaxed))
    }

    fn add(&self, labels: &[(String, String)], count: &CountState) -> bool {
        let (true, CountState::Counter(value)) = (labels.is_empty(), count) else { return false };
        self.fetch_add(*value, Ordering::Relaxed);
        true
    }
}

impl Carried for Gauge {
    fn counts(&self) -> Vec<(Labels, CountState)> {
        Vec::new()
    }

    fn add(&self, _: &[(String, String)], _: &CountState) -> bool {
        false
    }
}

impl Carried for Histogram {
    fn counts(&self) -> Vec<(Labels, CountState)> {
        let count = self.state();
        count.map(|count| (Labels::new(), count)).into_iter().collect()
    }

    fn add(&self, labels: &[(String, String)], count: &CountState) -> bool {
        labels.is_empty() && self.resume(count)
    }
}

fn labels_at<L: Label>(index: usize) -> Labels {
    L::pairs_at(index).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl<L: Label, M: Carried> Carried for Labelled<L, M> {
    fn counts(&self) -> Vec<(Labels, CountState)> {
        let series = self.all().enumerate().flat_map(|(index, metric)| {
            metric.counts().into_iter().map(move |(_, count)| (labels_at::<L>(index), count))
        });
        series.collect()
    }

    fn add(&self, labels: &[(String, String)], count: &CountState) -> bool {
        let series = self.all().enumerate().find(|(index, _)| labels_at::<L>(*index) == labels);
        series.is_some_and(|(_, metric)| metric.add(&[], count))
    }
}
