//! Pages, API, live FLV and HLS are on the TLS port, for every client and byte for byte what the plain ports send.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{read_head, read_response},
    server::TestServer,
    socket::dial,
    tls::TestAuthority,
    tools::{push_clip, run},
    wait::poll_until,
};

use crate::{curl, https, publish, start, start_with_hls};

fn get(authority: &TestAuthority, server: &TestServer, path: &str, options: &[&str]) -> Vec<u8> {
    run(curl(authority).args(options).arg(https(server.tls(), path))).stdout
}

#[test]
fn every_version_and_offer_of_http_is_served() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    for options in [
        &["--tlsv1.3"][..],
        &["--tls-max", "1.2"],
        &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        &["--http2"],
        &["--no-alpn"],
    ] {
        let answered = get(&authority, &server, "/api/v1/server", options);
        let about: serde_json::Value = serde_json::from_slice(&answered).expect("it is JSON");
        assert_eq!(about["rtmp_port"], server.tls().port(), "{options:?}");
        assert_eq!(about["tls"], true, "{options:?}");
    }
    assert!(get(&authority, &server, "/", &[]).starts_with(b"<!doctype html>"));
}

#[test]
fn an_old_version_can_be_refused() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--tls-min", "1.3"]);
    assert!(!get(&authority, &server, "/healthz", &["--tlsv1.3"]).is_empty());
    let url = https(server.tls(), "/healthz");
    let old = curl(&authority).args(["--tls-max", "1.2"]).arg(url).stderr(Stdio::null()).status();
    assert!(!old.expect("curl can be run").success());
}

#[test]
fn openssl_finds_the_chain_and_the_protocol() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-verify_return_error", "-alpn", "h2,http/1.1", "-servername", "localhost"]);
    openssl.arg("-connect").arg(server.tls().to_string());
    openssl.arg("-CAfile").arg(authority.certificate_of_authority()).stdin(Stdio::null());
    let said = String::from_utf8_lossy(&run(&mut openssl).stdout).into_owned();
    assert!(said.contains("ALPN protocol: http/1.1") && said.contains("Verify return code: 0"), "{said}");
}

#[test]
fn requests_follow_each_other_on_a_connection_and_live_media_comes_last() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    FlvViewer::open(&server, "r").frames_until(&frames::keyframe(0, 0));
    let mut socket = authority.dial(server.tls());
    let mut read = Vec::new();
    for _ in 0..2 {
        synctv_testkit::http::send_get(&mut socket, "/api/v1/streams");
        assert_eq!(read_response(&mut socket, &mut read, false).status, 200);
    }
    let mut viewer = FlvViewer::open_on(socket, "/r.flv");
    viewer.frames_until(&frames::keyframe(0, 0));
    let last = frames::sized_inter(40, 1, 300_000);
    publisher.send(&last);
    viewer.frames_until(&last);
    publisher.unpublish();
    server.wait_for_publisher_leaving("r");
}

#[test]
fn live_media_is_byte_for_byte_what_a_plain_viewer_gets() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--publisher-grace-s", "0"]);
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    let mut sockets = [dial(server.http), authority.dial(server.tls())];
    let mut received = sockets.each_mut().map(|socket| {
        // Of HTTP/1.0: a chunk is as long as a flush, which need not be the same for both.
        socket.write_all(b"GET /r.flv HTTP/1.0\r\n\r\n").expect("the server takes the request");
        read_head(socket).body
    });
    // Sizes around those of records, of what is encrypted at once, and of what the socket accepts.
    for (number, size) in
        [1, 16_300, 16_384, 16_400, 65_500, 65_536, 70_000, 500_000, 3_000_000].into_iter().enumerate()
    {
        publisher.send(&frames::sized_inter(40 * (number as u32 + 1), number as u32 + 1, size));
    }
    publisher.unpublish();
    for (socket, received) in sockets.iter_mut().zip(&mut received) {
        socket.read_to_end(received).expect("the stream ends");
    }
    let [plain, over_tls] = received;
    assert!(plain.len() > 3_700_000, "{}", plain.len());
    assert!(plain == over_tls, "the same bytes");
}

#[test]
fn hls_is_at_the_same_address() {
    let authority = TestAuthority::new();
    let server = start_with_hls(&authority);
    let _push = push_clip(&server, "r");
    let segment = poll_until("a segment is listed", || {
        let mut command = curl(&authority);
        let output =
            command.arg(https(server.tls(), "/live/r/index.m3u8")).output().expect("curl can be run");
        let playlist = String::from_utf8_lossy(&output.stdout).into_owned();
        playlist.lines().find(|line| line.starts_with("seg-")).map(ToOwned::to_owned)
    });
    let path = format!("/live/r/{segment}");
    let over_tls = get(&authority, &server, &path, &[]);
    assert!(!over_tls.is_empty());
    assert!(over_tls == server.hls().get(&path).body, "the same segment");
}
