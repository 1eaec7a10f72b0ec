//! An address that fails too often is slowed down and no longer logged, which hinders no valid token.

use serde_json::json;
use synctv_testkit::http::request;

use crate::{closed, publish, token};

#[test]
fn a_flood_of_failures_is_ten_lines_and_valid_tokens_pass() {
    let server = closed(&[]);
    std::thread::scope(|scope| {
        for _ in 0..60 {
            let http = server.http;
            scope.spawn(move || assert_eq!(request(http, "GET", "/r.flv?token=x").status, 401));
        }
    });
    let good = format!("r?token={}", token("r", "publish", json!({})));
    let _publisher = publish(&server, &good).expect("it is valid");
    server.wait_for_publisher("r");
    let lines = server.log.count(|line| line.text("msg") == "access refused");
    // One comes back every six seconds.
    assert!((10..20).contains(&lines), "{lines}");
}
