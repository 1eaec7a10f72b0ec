//! The pages come with what keeps them safe, and their files are sent once.

use synctv_testkit::{
    http::{exchange, request},
    server::TestServer,
};

#[test]
fn pages_forbid_what_they_do_not_need() {
    let storage = concat!(env!("CARGO_TARGET_TMPDIR"), "/pages-hls");
    let server =
        TestServer::start(&["--hls", "always", "--hls-addr", "127.0.0.1:0", "--hls-storage", storage]);
    for (path, ancestors) in [("/", "frame-ancestors 'none'"), ("/watch/r", "frame-ancestors *")] {
        let head = request(server.http, "GET", path);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(head.header("x-content-type-options"), "nosniff");
        assert_eq!(head.header("referrer-policy"), "no-referrer");
        let policy = head.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self' localhost:"), "{policy}");
        assert!(policy.contains(ancestors) && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn a_host_that_is_none_does_not_get_into_the_policy() {
    let server = TestServer::start(&[]);
    let head = exchange(server.http, b"GET / HTTP/1.1\r\nHost: a; script-src *\r\n\r\n");
    assert!(!head.header("content-security-policy").contains("script-src *"), "{head:?}");
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
