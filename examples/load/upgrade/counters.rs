//! The server's counters, as in a scrape.

use std::{collections::BTreeMap, error::Error, net::SocketAddr};

use crate::hls::http::Client;

/// The counters of a server, by name and labels.
#[derive(Debug)]
pub struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// Scrapes them.
    pub async fn scrape(metrics: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let mut text = Vec::new();
        Client::new(metrics).get("/metrics", None, |bytes| text.extend_from_slice(bytes)).await?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let samples =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let counters =
            samples.filter(|(name, _)| name.split('{').next().is_some_and(|name| name.ends_with("_total")));
        Self(counters.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// The number of counters that are lower than they were `before`, or missing.
    pub fn gone_back(&self, before: &Self) -> usize {
        let is_lower = |(name, before): &(&String, &f64)| self.0.get(*name).is_none_or(|now| now < *before);
        before.0.iter().filter(is_lower).count()
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_went_back_are_counted() {
        let before = Counters::parse("# TYPE a counter\na_total 3\na_total{x=\"y z\"} 2\nb 9\nc_total 1\n");
        assert_eq!(before.count(), 3);
        let after = Counters::parse("a_total 3\na_total{x=\"y z\"} 1\nb 0\n");
        assert_eq!(after.gone_back(&before), 2);
        assert_eq!(before.gone_back(&before), 0);
    }
}
