//! The address of a client behind a trusted proxy is the one that the proxy names; anyone else's word for it is ignored.

use std::collections::BTreeSet;

use serde_json::json;
use synctv_testkit::{
    http::{request_with, send_get_with},
    server::TestServer,
    service::Service,
    socket::dial,
};

use crate::{closed, publish, token};

const TRUSTING: [&str; 2] = ["--trust-proxy", "127.0.0.1,10.0.0.0/8"];

fn head_from(server: &TestServer, forwarded: &str) -> u16 {
    request_with(server.http, "HEAD", "/r.flv?pass=x", &[("X-Forwarded-For", forwarded)]).status
}

#[test]
fn callbacks_are_asked_about_the_client() {
    let callback = Service::start(|_| Some((403, String::new())));
    let url = callback.url();
    let server = TestServer::with_hls(&[&["--auth-url", &url], &TRUSTING[..]].concat());
    // The framework answers the second and the third, and the HLS port the last.
    assert_eq!(head_from(&server, "1.1.1.1, 203.0.113.9, 10.0.0.2"), 403);
    for (port, path, client) in [
        (server.http, "/live/r/index.m3u8?pass=1", "203.0.113.10"),
        (server.http, "/api/v1/streams/r?pass=2", "2001:db8::1"),
        (server.hls().address(), "/live/r/index.m3u8?pass=3", "203.0.113.11"),
    ] {
        assert_eq!(request_with(port, "GET", path, &[("X-Forwarded-For", client)]).status, 403, "{path}");
    }
    let peers: BTreeSet<_> =
        callback.asked().iter().filter_map(|asked| asked["peer"].as_str().map(ToOwned::to_owned)).collect();
    let expected = ["203.0.113.9", "203.0.113.10", "203.0.113.11", "2001:db8::1"];
    assert_eq!(peers, expected.map(ToOwned::to_owned).into());
}

#[test]
fn without_a_trusted_proxy_the_header_is_ignored() {
    let callback = Service::start(|_| Some((403, String::new())));
    for flags in [&[][..], &["--trust-proxy", "10.0.0.0/8"]] {
        let server = TestServer::start(&[&["--auth-url", &callback.url()], flags].concat());
        assert_eq!(head_from(&server, "203.0.113.9"), 403);
    }
    assert!(callback.asked().iter().all(|asked| asked["peer"] == "127.0.0.1"), "{:?}", callback.asked());
}

#[test]
fn one_client_of_a_proxy_slows_no_other_down() {
    let server = closed(&TRUSTING);
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| assert_eq!(head_from(&server, "203.0.113.9"), 401));
        }
    });
    // An address that failed too often is not logged any more.
    let refused = |client: &str| {
        server.log.count(|line| line.text("msg") == "access refused" && line.text("peer") == client)
    };
    assert!(refused("203.0.113.9:0") < 20);
    assert_eq!(head_from(&server, "203.0.113.10"), 401);
    server.log.find("another client's failure", |line| {
        line.text("msg") == "access refused" && line.text("peer") == "203.0.113.10:0"
    });
}

#[test]
fn the_log_names_viewers_by_their_own_address() {
    let server = closed(&TRUSTING);
    let _publisher = publish(&server, &format!("r?token={}", token("r", "publish", json!({}))));
    server.wait_for_publisher("r");
    let mut socket = dial(server.http);
    let path = format!("/r.flv?token={}", token("r", "play", json!({})));
    send_get_with(&mut socket, &path, &[("X-Forwarded-For", "203.0.113.9:4711")]);
    server.log.find("viewer connected", |line| {
        line.says("viewer connected", "r") && line.text("peer") == "203.0.113.9:4711"
    });
}
