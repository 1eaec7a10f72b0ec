//! The HLS port answers as caches, players and pages of other origins need it.

use std::io::Read;

use flate2::read::GzDecoder;
use synctv_testkit::{
    http::{read_response, send_get},
    socket::dial,
};

use crate::server_with_segments;

#[test]
fn a_playlist_has_two_addresses_with_the_same_segments() {
    let (server, segment) = server_with_segments();
    let index = server.hls().get("/live/r/index.m3u8");
    assert_eq!(index.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(index.header("cache-control"), "no-cache");
    assert_eq!(index.header("access-control-allow-origin"), "*");
    assert!(index.header("access-control-expose-headers").contains("ETag"));
    let flat = server.hls().get("/live/r.m3u8").text();
    assert!(flat.contains(&format!("\n{}\n", segment.strip_prefix("/live/").unwrap())));
    assert_eq!(flat.replace("r/seg", "seg"), index.text());
}

#[test]
fn a_playlist_that_is_known_is_not_sent_again() {
    let (server, _) = server_with_segments();
    let path = "/live/r/index.m3u8";
    let plain = server.hls().get(path);
    let gzip = server.hls().request("GET", path, &[("Accept-Encoding", "br, gzip;q=0.8")]);
    for tag in [plain.header("etag"), gzip.header("etag"), "*", "\"x\", W/\"y\""] {
        let known = server.hls().request("GET", path, &[("If-None-Match", tag)]);
        let expected = if tag.contains('x') { 200 } else { 304 };
        assert_eq!((known.status, known.body.is_empty()), (expected, expected == 304), "{tag}");
    }
    assert_ne!(plain.header("etag"), gzip.header("etag"));
}

#[test]
fn a_playlist_is_compressed_on_request() {
    let (server, segment) = server_with_segments();
    let encoded =
        |path: &str, accepted: &str| server.hls().request("GET", path, &[("Accept-Encoding", accepted)]);
    let plain = encoded("/live/r.m3u8", "identity");
    let gzip = encoded("/live/r.m3u8", "gzip, deflate");
    assert_eq!((plain.header("content-encoding"), gzip.header("content-encoding")), ("", "gzip"));
    assert_eq!(gzip.header("vary"), "Accept-Encoding");
    let mut text = String::new();
    GzDecoder::new(&gzip.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
    assert_eq!(encoded("/live/r.m3u8", "gzip;q=0").header("content-encoding"), "");
    assert_eq!(encoded(&segment, "gzip").header("content-encoding"), "");
}

#[test]
fn a_segment_can_be_kept_and_asked_for_in_part() {
    let (server, segment) = server_with_segments();
    let whole = server.hls().get(&segment);
    assert_eq!(whole.header("content-type"), "video/mp2t");
    assert_eq!(whole.header("cache-control"), "public, max-age=86400, immutable");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let size_bytes = whole.body.len();
    assert_eq!(whole.header("content-length"), size_bytes.to_string());
    let part = server.hls().request("GET", &segment, &[("Range", "bytes=188-375")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[188..376]));
    assert_eq!(part.header("content-range"), format!("bytes 188-375/{size_bytes}"));
    let beyond = server.hls().request("GET", &segment, &[("Range", "bytes=99999999-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{size_bytes}")));
    let tag = whole.header("etag");
    assert_eq!(server.hls().request("GET", &segment, &[("If-None-Match", tag)]).status, 304);
    let range = ("Range", "bytes=0-0");
    assert_eq!(server.hls().request("GET", &segment, &[range, ("If-Range", tag)]).status, 206);
    assert_eq!(server.hls().request("GET", &segment, &[range, ("If-Range", "\"other\"")]).status, 200);
}

#[test]
fn head_answers_as_get_would() {
    let (server, segment) = server_with_segments();
    for path in ["/live/r/index.m3u8", "/live/r.m3u8", &segment] {
        let (get, head) = (server.hls().get(path), server.hls().request("HEAD", path, &[]));
        assert_eq!(head.status, 200);
        assert!(head.body.is_empty());
        for name in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    assert_eq!(server.hls().request("HEAD", &segment, &[("Range", "bytes=0-0")]).status, 200);
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let (server, segment) = server_with_segments();
    let size_bytes = server.hls().get(&segment).body.len();
    let mut socket = dial(server.hls().address);
    let mut read = Vec::new();
    for _ in 0..3 {
        send_get(&mut socket, &segment);
        let answer = read_response(&mut socket, &mut read, false);
        assert_eq!((answer.status, answer.body.len()), (200, size_bytes));
    }
}

#[test]
fn errors_are_json() {
    let (server, _) = server_with_segments();
    for (method, path, status, word) in [
        ("GET", "/live/absent/index.m3u8", 404, "room_not_live"),
        ("GET", "/live/absent.m3u8", 404, "room_not_live"),
        ("GET", "/live/r/seg-1.ts", 404, "no_such_segment"),
        ("GET", "/live/absent/seg-1.ts", 404, "no_such_segment"),
        ("GET", "/live/r/@lock", 404, "not_found"),
        ("GET", "/other/r.m3u8", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/live/../../etc/index.m3u8", 400, "bad_room_name"),
        ("GET", "/live/%2e%2e/index.m3u8", 400, "bad_room_name"),
        ("GET", "/live//index.m3u8", 400, "bad_room_name"),
        ("POST", "/live/r/index.m3u8", 405, "method_not_allowed"),
        ("DELETE", "/live/r.m3u8", 405, "method_not_allowed"),
    ] {
        let answer = server.hls().request(method, path, &[]);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.text().starts_with(&format!(r#"{{"error":"{word}""#)), "{}", answer.text());
    }
    let preflight = server.hls().request("OPTIONS", "/live/r/index.m3u8", &[]);
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-methods")),
        (204, "GET, HEAD, OPTIONS")
    );
}
