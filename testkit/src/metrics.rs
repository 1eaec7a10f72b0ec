//! Metrics, as a scraper reads them.

use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr};

use crate::{
    http::request,
    wait::{poll_for, poll_until},
};

/// The samples of one scrape, by name and labels as they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Scrapes a server.
    pub fn of(metrics: SocketAddr) -> Self {
        let response = request(metrics, "GET", "/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        Self::parse(&response.text())
    }

    /// Scrapes a server until a sample has this value.
    pub fn when(metrics: SocketAddr, sample: &str, value: f64) -> Self {
        Self::when_all(metrics, &[(sample, value)])
    }

    /// Scrapes a server until all samples have these values. An event may be seen, in an answer or in the log, before it is
    /// counted.
    pub fn when_all(metrics: SocketAddr, expected: &[(&str, f64)]) -> Self {
        let differing = RefCell::new(Vec::new());
        let look = || {
            let scrape = Self::of(metrics);
            let differs = |(sample, value): &(&str, f64)| scrape.get(sample) != Some(*value);
            *differing.borrow_mut() = expected.iter().copied().filter(differs).collect();
            differing.borrow().is_empty().then_some(scrape)
        };
        poll_for(look).unwrap_or_else(|| panic!("samples that do not come to be: {:?}", differing.borrow()))
    }

    /// Scrapes a server until it is so.
    pub fn until(metrics: SocketAddr, what: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        poll_until(what, || Some(Self::of(metrics)).filter(&is_so))
    }

    /// Reads text of either format.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (sample, value) = line.rsplit_once(' ')?;
            Some((sample.to_owned(), value.parse().ok()?))
        };
        Self(samples.map(|line| sample(line).expect("a sample has a value")).collect())
    }

    /// Returns the value of a sample, such as `synctv_viewers{protocol="rtmp"}`.
    pub fn get(&self, sample: &str) -> Option<f64> {
        self.0.get(sample).copied()
    }

    /// Returns all samples.
    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(sample, value)| (&**sample, *value))
    }

    /// Returns the value of a sample that has to be there.
    pub fn value(&self, sample: &str) -> f64 {
        self.get(sample).unwrap_or_else(|| panic!("{sample} is missing"))
    }

    /// Returns all samples of a name, with their labels as they are written.
    pub fn samples(&self, name: &str) -> Vec<(&str, f64)> {
        let is_named = |sample: &str| sample.split('{').next() == Some(name);
        self.0
            .iter()
            .filter(|(sample, _)| is_named(sample))
            .map(|(sample, value)| (&**sample, *value))
            .collect()
    }

    /// Returns the names of all samples, with the names of their labels.
    pub fn names(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for sample in self.0.keys() {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let known = names.entry(name).or_default();
            // No value of a label of this server has a comma or a quote.
            for label in labels.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)) {
                if !known.contains(&label) {
                    known.push(label);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_and_without_labels() {
        let scrape =
            Scrape::parse("# TYPE a gauge\na 1\nb_total{x=\"1\",y=\"z w\"} 2.5\nb_total{x=\"2\"} 3\n# EOF\n");
        assert_eq!((scrape.value("a"), scrape.get("c")), (1.0, None));
        assert_eq!(
            scrape.samples("b_total"),
            [("b_total{x=\"1\",y=\"z w\"}", 2.5), ("b_total{x=\"2\"}", 3.0)]
        );
        assert_eq!(scrape.names()["b_total"], ["x", "y"]);
    }
}
