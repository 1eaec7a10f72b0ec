//! A scrape gets the format that it asks for, if it presents the token, and nothing else is at the port.

use synctv_testkit::{
    http::{request, request_with},
    metrics::Scrape,
    server::TestServer,
};

use crate::server;

const TOKEN: &str = "a token of the tests, 32 bytes or more";

#[test]
fn in_both_formats() {
    let server = server(&[]);
    let plain = request(server.metrics(), "GET", "/metrics");
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = request_with(server.metrics(), "GET", "/metrics", &[("Accept", accept)]);
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text().ends_with("# EOF\n") && !plain.text().contains("# EOF"));
    let names = |text: &str| Scrape::parse(text).names().into_keys().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&plain.text()), names(&open.text()));
}

/// Maximum size of a scrape without rooms, in bytes.
const SCRAPE_MAX_BYTES: usize = 16 * 1024;

#[test]
fn in_few_bytes_while_there_are_no_rooms() {
    let server = TestServer::with_hls(&["--metrics-addr", "127.0.0.1:0"]);
    for accept in ["text/plain", "application/openmetrics-text"] {
        let scrape = request_with(server.metrics(), "GET", "/metrics", &[("Accept", accept)]);
        assert!(scrape.body.len() <= SCRAPE_MAX_BYTES, "{accept}: {}", scrape.body.len());
    }
}

#[test]
fn only_with_the_token_if_there_is_one() {
    let server = server(&["--metrics-token", TOKEN]);
    let scrape = |headers: &[(&str, &str)]| request_with(server.metrics(), "GET", "/metrics", headers).status;
    assert_eq!(scrape(&[]), 401);
    assert_eq!(scrape(&[("Authorization", "Bearer another token, of 32 bytes or more")]), 401);
    assert_eq!(scrape(&[("Authorization", &format!("Bearer {TOKEN}"))]), 200);
    assert!(!server.log.lines().iter().any(|line| line.contains(TOKEN)));
}

#[test]
fn at_one_path_of_a_port_of_its_own() {
    let server = server(&[]);
    assert_eq!(request(server.metrics(), "GET", "/").status, 404);
    assert_eq!(request(server.metrics(), "POST", "/metrics").status, 405);
    assert_eq!(request(server.metrics(), "HEAD", "/metrics").status, 200);
    assert_eq!(request(server.http, "GET", "/metrics").status, 404);
}

/// Each thread that serves is measured: two of them are.
#[test]
fn with_the_delay_of_timers_on_every_thread() {
    let server = server(&["--workers", "2"]);
    Scrape::when(server.metrics(), "synctv_worker_lag_seconds_count", 2.0);
}
