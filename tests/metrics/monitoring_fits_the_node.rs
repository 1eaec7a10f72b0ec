//! The alerts and the dashboard ask for what a node exposes; promtool and Prometheus read all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use synctv_testkit::{
    http::{Response, request},
    metrics::Scrape,
    process::Process,
    server::TestServer,
    wait::poll_until,
};

use crate::{NOT_ALWAYS, busy_server};

/// Labels that Prometheus adds, and metrics of its own.
const OF_PROMETHEUS: [&str; 4] = ["instance", "job", "le", "up"];

/// Words of the query language.
const WORDS: &[&str] = &[
    "and",
    "by",
    "clamp_min",
    "count",
    "histogram_quantile",
    "increase",
    "label_values",
    "max",
    "on",
    "or",
    "rate",
    "sum",
    "time",
    "unless",
];

fn monitoring(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/monitoring").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(monitoring(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs promtool, which `scripts/install-test-tools` installs.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).current_dir(monitoring(""));
    promtool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = promtool.spawn().expect("promtool is needed: scripts/install-test-tools");
    running.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("promtool reads");
    running.wait_with_output().expect("promtool ends")
}

fn assert_content(output: &Output) {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let (server, _peers) = busy_server();
    let checked = promtool(&["check", "metrics"], &request(server.metrics(), "GET", "/metrics").text());
    assert_content(&checked);
    assert_eq!(String::from_utf8_lossy(&checked.stderr), "");
}

#[test]
fn alerts_are_rules_that_fire_when_they_should_and_only_then() {
    assert_content(&promtool(&["check", "rules", "alerts.yaml"], ""));
    assert_content(&promtool(&["test", "rules", "alerts.test.yaml"], ""));
}

/// The expressions of the alerts and of the dashboard.
fn expressions() -> Vec<String> {
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yaml")).expect("the alerts are YAML");
    let rules = alerts["groups"].as_array().into_iter().flatten();
    let rules = rules.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let alerts: Vec<_> = rules.map(|rule| text(&rule["expr"])).collect();
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let panels: Vec<_> = targets.map(|target| text(&target["expr"])).collect();
    assert!(alerts.len() >= 10 && panels.len() >= 30, "{} and {}", alerts.len(), panels.len());
    [alerts, panels].concat()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[test]
fn every_name_and_label_that_is_asked_for_is_one_of_a_node() {
    let (server, _peers) = busy_server();
    let scrape = Scrape::of(server.metrics());
    let exposed = scrape.names();
    for expression in expressions() {
        let asked = identifiers(&expression);
        let names: BTreeSet<_> =
            asked.iter().filter(|name| name.starts_with("synctv_") || name.starts_with("process_")).collect();
        assert!(!names.is_empty() || expression.starts_with("up{"), "{expression} asks for nothing");
        for name in names.iter().filter(|name| !is_not_always(name)) {
            assert!(exposed.contains_key(name.as_str()), "{name} of {expression} is not exposed");
        }
        let labels: BTreeSet<&str> =
            names.iter().filter_map(|name| exposed.get(name.as_str())).flatten().copied().collect();
        let others = asked.iter().filter(|name| !names.contains(name) && !WORDS.contains(&name.as_str()));
        for label in others.filter(|name| !OF_PROMETHEUS.contains(&name.as_str())) {
            assert!(labels.contains(label.as_str()), "{label} of {expression} is no label of {names:?}");
        }
        assert_values_exist(&expression, &scrape);
    }
}

fn is_not_always(name: &str) -> bool {
    let of_histogram = name.strip_suffix("_bucket").unwrap_or(name);
    NOT_ALWAYS.contains(&of_histogram)
}

/// An expression with a value that its label never has finds nothing, and fails silently.
fn assert_values_exist(expression: &str, scrape: &Scrape) {
    for (label, values) in matched(expression) {
        for value in values.split('|').filter(|value| !value.contains('$')) {
            let pair = format!("{label}=\"{value}\"");
            let is_there = |name: &str| scrape.samples(name).iter().any(|(sample, _)| sample.contains(&pair));
            let names = identifiers(expression);
            assert!(label == "job" || names.iter().any(|name| is_there(name)), "{pair} of {expression}");
        }
    }
}

/// Names in an expression: all but texts, durations, variables and numbers.
fn identifiers(expression: &str) -> BTreeSet<String> {
    let outside: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let without_ranges = outside.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    let outside = without_ranges.collect::<Vec<_>>().join(" ");
    let words = outside.split(|char: char| !(char.is_alphanumeric() || char == '_' || char == '$'));
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_alphabetic());
    words.filter(is_name).map(ToOwned::to_owned).collect()
}

/// Labels and the values that they are compared with.
fn matched(expression: &str) -> Vec<(String, String)> {
    let parts: Vec<_> = expression.split('"').collect();
    let pairs = parts.chunks_exact(2).map(|pair| {
        let before = pair[0].trim_end_matches(['=', '~', '!']);
        let label = before.rsplit(|char: char| !(char.is_alphanumeric() || char == '_')).next();
        (label.unwrap_or_default().to_owned(), pair[1].to_owned())
    });
    pairs.collect()
}

#[test]
fn expressions_are_taken_apart() {
    let expression = r#"sum by (le) (rate(a_total{x=~"b|c",y!="d"}[5m])) / clamp_min(e, 1) > 0.02"#;
    let names: Vec<_> = identifiers(expression).into_iter().collect();
    assert_eq!(names, ["a_total", "by", "clamp_min", "e", "le", "rate", "sum", "x", "y"]);
    let of = |label: &str, values: &str| (label.to_owned(), values.to_owned());
    assert_eq!(matched(expression), [of("x", "b|c"), of("y", "d")]);
}

#[test]
fn the_dashboard_has_four_rows_and_its_panels_a_variable_for_data_and_node() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<_> =
        panels.iter().filter(|panel| panel["type"] == "row").map(|row| text(&row["title"])).collect();
    assert_eq!(rows, ["Now", "Are viewers well", "Is the node well", "Cluster"]);
    let mut ids = BTreeMap::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap(), ()).is_none(), "{panel}");
        let targets = panel["targets"].as_array().into_iter().flatten();
        for target in targets.filter(|_| panel["type"] != "row") {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            assert!(text(&target["expr"]).contains(r#"instance=~"$instance""#), "{target}");
        }
    }
}

/// A real Prometheus, which stops when it is dropped.
struct Prometheus {
    _process: Process,
    address: std::net::SocketAddr,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `server` each second.
    fn start(server: &TestServer) -> Self {
        let data = tempfile::tempdir().expect("a directory for its data");
        let alerts = monitoring("alerts.yaml");
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n  \
             - job_name: synctv-stream\n    static_configs: [{{ targets: ['{}'] }}]\n",
            alerts.display(),
            server.metrics(),
        );
        let path = data.path().join("prometheus.yml");
        fs::write(&path, configuration).expect("its configuration is written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = free.local_addr().expect("it has an address");
        drop(free);
        let mut prometheus = Command::new("prometheus");
        prometheus
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error", "--storage.tsdb.min-block-duration=2h"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut prometheus);
        Self { _process: process, address, _data: data }
    }

    /// Returns the answer to an expression.
    fn ask(&self, expression: &str) -> Response {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        request(self.address, "GET", &format!("/api/v1/query?query={escaped}"))
    }

    /// Returns the value of an expression that has one.
    fn query(&self, expression: &str) -> Option<f64> {
        std::net::TcpStream::connect(self.address).ok()?;
        let response = self.ask(expression);
        if response.status != 200 {
            return None;
        }
        response.json()["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

#[test]
fn prometheus_scrapes_a_node_and_knows_its_viewers() {
    let (server, _peers) = busy_server();
    let prometheus = Prometheus::start(&server);
    poll_until("the node is up", || prometheus.query("up").filter(|up| *up == 1.0));
    let viewers = poll_until("viewers are known", || prometheus.query("sum(synctv_viewers)"));
    let scrape = Scrape::of(server.metrics());
    let expected: f64 = scrape.samples("synctv_viewers").iter().map(|(_, value)| value).sum();
    assert_eq!(viewers, expected);
    for expression in expressions() {
        // The dashboard's variables, as Grafana replaces them.
        let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        let answer = prometheus.ask(&expression);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &"success".into()), "{expression}");
    }
    poll_until("the alerts are loaded", || {
        let rules = request(prometheus.address, "GET", "/api/v1/rules").json();
        (rules["data"]["groups"][0]["name"] == "synctv-stream").then_some(())
    });
}
