//! docs/metrics.md lists what a node exposes, with its labels, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use synctv_testkit::{metrics::Scrape, wait::poll_for};

use crate::{NOT_ALWAYS, busy_server};

#[test]
fn with_every_metric_and_label() {
    let (server, _peers) = busy_server();
    let documented = documented();
    let names =
        |metrics: &BTreeMap<String, BTreeSet<String>>| metrics.keys().cloned().collect::<BTreeSet<_>>();
    let mut expected = names(&documented);
    expected.retain(|name| !NOT_ALWAYS.contains(&name.as_str()));
    let mut exposed = BTreeMap::new();
    // A histogram is there once something was counted in it, which may be after it was seen.
    let _ = poll_for(|| {
        exposed = exposed_by(&Scrape::of(server.metrics()));
        names(&exposed).is_superset(&expected).then_some(())
    });
    assert_eq!(names(&exposed), expected);
    for (name, labels) in exposed {
        assert!(
            labels.is_subset(&documented[&name]),
            "{name} has {labels:?}, documented are {:?}",
            documented[&name]
        );
    }
}

/// Metrics by name, a histogram as one, each with its labels.
fn exposed_by(scrape: &Scrape) -> BTreeMap<String, BTreeSet<String>> {
    let mut exposed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, labels) in scrape.names() {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let labels = labels.into_iter().filter(|label| *label != "le").map(ToOwned::to_owned);
        exposed.entry(of_histogram.unwrap_or(name).to_owned()).or_default().extend(labels);
    }
    exposed
}

/// Metrics by name, each with all labels of its row.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let text = std::fs::read_to_string(path).expect("the page of metrics is there");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let (names, labels) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let labels: BTreeSet<_> =
            labels.split([',', ' ']).filter(|label| !label.is_empty()).map(ToOwned::to_owned).collect();
        let names = names.split(", ").map(|name| name.trim_matches('`').to_owned());
        names.map(move |name| (name, labels.clone())).collect::<Vec<_>>()
    };
    rows.flat_map(row).collect()
}
