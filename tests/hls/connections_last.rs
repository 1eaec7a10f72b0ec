//! A connection of the HLS port serves one request after the other, and ends only where HTTP says so.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use synctv_testkit::{
    http::{Response, exchange, read_response, send_get, send_get_with},
    server::TestServer,
    socket::{dial, receive},
};

use crate::server_with_segments;

const PLAYLIST: &str = "GET /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n";

fn send(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).expect("the server takes the request");
}

/// The answer, and whether the connection ends behind it.
fn last_answer(socket: &mut TcpStream) -> (Response, bool) {
    let mut read = Vec::new();
    let answer = read_response(socket, &mut read, false);
    (answer, read.is_empty() && receive(socket, &mut [0; 1]).is_ok_and(|size| size == 0))
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let (server, segment) = server_with_segments();
    let alone = [server.hls().get("/live/r/index.m3u8"), server.hls().get(&segment)];
    let mut socket = dial(server.hls().address);
    let of_segment = format!("GET {segment} HTTP/1.1\r\nHost: a\r\n\r\n");
    let of_head = of_segment.replace("GET", "HEAD");
    send(&mut socket, &[PLAYLIST, &of_segment, &of_head, PLAYLIST].concat());
    let mut read = Vec::new();
    for (is_head, alone) in [(false, &alone[0]), (false, &alone[1]), (true, &alone[1]), (false, &alone[0])] {
        let answer = read_response(&mut socket, &mut read, is_head);
        assert_eq!((answer.status, answer.header("etag")), (200, alone.header("etag")));
        assert_eq!(answer.header("content-length"), alone.header("content-length"));
        assert!(is_head || answer.body == alone.body);
    }
    assert!(read.is_empty());
}

#[test]
fn a_connection_is_kept_through_refusals_and_answers_without_a_body() {
    let (server, segment) = server_with_segments();
    let tag = server.hls().get(&segment).header("etag").to_owned();
    let mut socket = dial(server.hls().address);
    let mut read = Vec::new();
    for (path, header, status) in [
        ("/live/nobody/index.m3u8", ("A", "b"), 404),
        (&*segment, ("If-None-Match", &*tag), 304),
        ("/live/r/ll.m3u8?_HLS_part=0", ("A", "b"), 400),
        (&segment, ("Range", "bytes=0-0"), 206),
        (&segment, ("Range", "bytes=99999999-"), 416),
    ] {
        send_get_with(&mut socket, path, &[header]);
        let answer = read_response(&mut socket, &mut read, answerless(status));
        assert_eq!((answer.status, answer.header("connection")), (status, ""), "{path}");
    }
    send(&mut socket, "OPTIONS /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(read_response(&mut socket, &mut read, true).status, 204);
    send(&mut socket, "GET /live/r/index.m3u8 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(read_response(&mut socket, &mut read, false).header("connection"), "keep-alive");
}

fn answerless(status: u16) -> bool {
    status == 304
}

#[test]
fn a_connection_is_closed_behind_its_last_request() {
    let (server, _) = server_with_segments();
    for (last, status) in [
        ("GET /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        ("GET /live/r/index.m3u8 HTTP/1.0\r\n\r\n", 200),
        ("POST /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405),
        (
            "POST /live/r.m3u8 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            405,
        ),
        (
            "GET /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            200,
        ),
    ] {
        let mut socket = dial(server.hls().address);
        send(&mut socket, last);
        // A body must not be taken for another request.
        send(&mut socket, PLAYLIST);
        let (answer, is_closed) = last_answer(&mut socket);
        assert_eq!((answer.status, answer.header("connection")), (status, "close"), "{last}");
        assert!(is_closed, "{last}");
    }
}

#[test]
fn a_client_that_says_nothing_more_is_answered() {
    let (server, segment) = server_with_segments();
    for path in ["/live/r/index.m3u8", &*segment, "/live/nobody/index.m3u8"] {
        let mut socket = dial(server.hls().address);
        send_get(&mut socket, path);
        socket.shutdown(Shutdown::Write).expect("the sending side can be closed");
        let (answer, is_closed) = last_answer(&mut socket);
        assert!(!answer.body.is_empty() && is_closed, "{path}");
    }
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    let server = TestServer::with_hls(&["--handshake-timeout-s", "1"]);
    let long = format!("GET / HTTP/1.1\r\nCookie: {}\r\n\r\n", "x".repeat(300_000));
    for (bytes, status, word) in [
        ("HELLO\r\n\r\n", 400, "bad_request"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
        ("GET no/path HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
        ("GET /live/r/index.m3u8 HTTP/1.1\r\nHost: a\r\n", 408, "request_timeout"),
        (&long, 431, "head_too_large"),
    ] {
        let answer = exchange(server.hls().address, bytes.as_bytes());
        assert_eq!((answer.status, answer.header("connection")), (status, "close"), "{word}");
        assert!(answer.text().contains(word), "{}", answer.text());
    }
}

/// RFC 9112, section 3.2.
#[test]
fn a_request_without_a_host_or_with_several_is_refused_on_both_ports() {
    let server = TestServer::with_hls(&[]);
    for (address, path) in [(server.hls().address, "/live/r.m3u8"), (server.http, "/api/v1/streams/r")] {
        for (version, hosts, status) in [
            ("1.1", "", 400),
            ("1.1", "Host: a\r\nHost: b\r\n", 400),
            ("1.0", "Host: a\r\nHost: b\r\n", 400),
            ("1.1", "Host: a\r\n", 404),
            ("1.0", "", 404),
        ] {
            // Behind a request that is answered.
            let first = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let last = format!("GET {path} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
            let (mut socket, mut read) = (dial(address), Vec::new());
            send(&mut socket, &[first, last].concat());
            assert_eq!(read_response(&mut socket, &mut read, true).status, 404);
            let answer = read_response(&mut socket, &mut read, false);
            assert_eq!(answer.status, status, "{path} {version} {hosts}");
            assert!(status != 400 || answer.header("connection") == "close");
            assert_eq!(answer.text().contains("bad_request"), status == 400, "{}", answer.text());
        }
    }
}
