//! A client that speaks TLS on a plain port, or plainly on the TLS port, gets an explanation; if it cannot, the log has
//! one.

use std::io::Write;

use synctv_testkit::{
    http::request,
    metrics::Scrape,
    rtmp::{Client, RtmpPeer},
    socket::{dial, read_to_close},
    tls::TestAuthority,
};

use crate::{publish, start, start_with_hls};

/// The beginning of a ClientHello.
const TLS_BEGINNING: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn plain_http_on_the_tls_port_gets_the_address_that_was_meant() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--metrics-addr", "127.0.0.1:0"]);
    let answer = request(server.tls(), "GET", "/r.flv");
    assert_eq!((answer.status, &answer.json()["error"]), (400, &"tls_required".into()), "{answer:?}");
    assert!(answer.text().contains("this port speaks TLS: https://"), "{answer:?}");
    let refused = r#"synctv_connections_refused_total{port="tls",reason="plain"}"#;
    assert_eq!(Scrape::of(server.metrics()).value(refused), 1.0);
}

#[test]
fn plain_rtmp_on_the_tls_port_is_refused_before_it_names_a_stream_key() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let refused = RtmpPeer::start(dial(server.tls()), Client::publisher("live", "r")).unwrap_err();
    assert_eq!(refused.code, "NetConnection.Connect.Rejected");
    assert!(refused.description.contains("rtmps://"), "{refused:?}");
    publish(&authority, &server, "r").expect("over TLS it is accepted");
}

#[test]
fn tls_on_a_plain_port_is_in_the_log_with_the_port_that_speaks_it() {
    let authority = TestAuthority::new();
    let server = start_with_hls(&authority);
    let elsewhere = format!("TLS is on port {}", server.tls().port());
    for (port, address) in [("httpflv", server.http), ("hls", server.hls().address())] {
        let mut socket = dial(address);
        socket.write_all(TLS_BEGINNING).expect("the server takes it");
        assert!(read_to_close(&mut socket).is_empty());
        server.log.find(port, |line| {
            line.mentions("TLS on a plain port") && line.text("port") == port && line.text("why") == elsewhere
        });
    }
    let mut socket = dial(server.rtmp);
    socket.write_all(TLS_BEGINNING).expect("the server takes it");
    assert!(read_to_close(&mut socket).is_empty());
    server.log.find("RTMP", |line| {
        line.mentions("RTMP connection closed")
            && line.text("why") == format!("TLS came to the plain port; {elsewhere}")
    });
}
