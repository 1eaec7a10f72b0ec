//! The TLS port serves the page and all that it plays: nothing of it is mixed content.

use std::process::Command;

use synctv_testkit::{
    metrics::Scrape,
    server::TestServer,
    tls::TestAuthority,
    tools::{push_clip, run},
};

use crate::browser::Browser;

/// The SHA-256 of the certificate's key, in base64.
pub fn key_hash(authority: &TestAuthority) -> String {
    let certificate = authority.certificate();
    let pipe = format!(
        "openssl x509 -pubkey -noout -in {} | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64",
        certificate.display()
    );
    String::from_utf8_lossy(&run(Command::new("sh").args(["-c", &pipe])).stdout).trim().to_owned()
}

/// HLS is in MPEG-TS alone here, which the page finds out by asking for the other playlist.
#[test]
fn flv_and_hls_play_and_the_addresses_shown_are_of_the_tls_port() {
    let authority = TestAuthority::new();
    let browser = Browser::trusting(&key_hash(&authority));
    let flags = authority.flags();
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(["--hls-fmp4", "off"]).collect();
    let server = TestServer::with_hls(&flags);
    let _publisher = push_clip(&server, "demo");
    let port = server.tls().port();
    browser.open(&format!("https://localhost:{port}/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 1");
    assert_eq!(browser.run("return isSecureContext"), true);
    browser.until(&format!("text('address-rtmp') === 'rtmps://localhost:{port}/live/demo'"));
    browser.until(&format!("text('address-flv') === 'https://localhost:{port}/demo.flv'"));
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("globalThis.Hls && document.getElementById('stage').dataset.state === 'playing'");
    browser.until("text('latency').endsWith('behind live') && Number(document.getElementById('latency').dataset.seconds) > 1");
    browser.until("text('facts').includes('PlayingHLS')");
    let complaints = browser.complaints();
    let others: Vec<_> = complaints.iter().filter(|line| !line.contains("/master.m3u8")).collect();
    assert!(others.is_empty() && !complaints.is_empty(), "{complaints:?}");
}

/// A browser asks for a playlist that is held and for parts at once: over HTTP/1.1, that takes two connections.
#[test]
fn low_latency_hls_plays_over_http_2() {
    let authority = TestAuthority::new();
    let browser = Browser::trusting(&key_hash(&authority));
    let flags = authority.flags();
    let more = ["--hls-tls-addr", "127.0.0.1:0", "--hls-fmp4", "always", "--metrics-addr", "127.0.0.1:0"];
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(more).collect();
    let server = TestServer::with_hls(&flags);
    let _publisher = push_clip(&server, "demo");
    let hls = format!("https://localhost:{}", server.hls_tls().port());
    browser.open(&format!("https://localhost:{}/watch/demo?protocol=hls", server.tls().port()));
    browser.until(&format!("text('address-hls') === '{hls}/live/demo/master.m3u8'"));
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("text('facts').includes('Low-Latency HLS') && video.currentTime > 3");
    let players = r#"synctv_connections{port="hls_tls"}"#;
    assert_eq!(Scrape::of(server.metrics()).value(players), 1.0);
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn addresses_that_are_set_are_shown_and_used() {
    let browser = Browser::start();
    let public = ["--public-rtmp-url", "rtmps://in.example", "--public-hls-url", "https://hls.example/x"];
    let server = TestServer::with_hls(&public);
    browser.open(&server.url("/watch/demo"));
    browser.until("text('address-rtmp') === 'rtmps://in.example/live/demo'");
    browser.until("text('address-hls') === 'https://hls.example/x/live/demo/master.m3u8'");
}
