//! Pages come with a policy that keeps them safe, and files that a browser has are not sent again.

use synctv_testkit::{
    http::{exchange, request},
    server::TestServer,
};

#[test]
fn pages_forbid_what_they_do_not_need() {
    let server = TestServer::with_hls(&[]);
    for (path, ancestors) in [("/", "frame-ancestors 'none'"), ("/watch/r", "frame-ancestors *")] {
        let head = request(server.http, "GET", path);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(head.header("x-content-type-options"), "nosniff");
        assert_eq!(head.header("referrer-policy"), "no-referrer");
        let policy = head.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self' *:"), "{policy}");
        assert!(policy.contains(ancestors) && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn the_policy_does_not_depend_on_the_host_that_a_proxy_passes() {
    let server = TestServer::start(&[]);
    let policy = |request: &[u8]| {
        let head = exchange(server.http, request);
        head.header("content-security-policy").to_owned()
    };
    let direct = policy(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!direct.is_empty());
    assert_eq!(policy(b"GET / HTTP/1.0\r\n\r\n"), direct);
    assert_eq!(policy(b"GET / HTTP/1.1\r\nHost: b;script-src*\r\n\r\n"), direct);
}

#[test]
fn a_file_that_is_known_is_not_sent_again() {
    let server = TestServer::start(&[]);
    for path in ["/", "/watch/r", "/assets/style.css", "/assets/players/mpegts-1.8.2.js"] {
        let response = request(server.http, "GET", path);
        assert!(!response.text().is_empty());
        let tag = response.header("etag");
        let again = format!("GET {path} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n");
        let again = exchange(server.http, again.as_bytes());
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{path}");
        let head = request(server.http, "HEAD", path);
        assert_eq!((head.status, head.text().as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), response.text().len().to_string(), "{path}");
    }
    let player = request(server.http, "HEAD", "/assets/players/mpegts-1.8.2.js");
    assert_eq!(player.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(request(server.http, "GET", "/assets/../Cargo.toml").status, 404);
}
