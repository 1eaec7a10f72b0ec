//! Redis may want a password, a database and TLS; what is secret stays so.

use std::{path::Path, process::Command};

use synctv_testkit::{
    process::run_to_end,
    redis::Redis,
    rtmp::RtmpPeer,
    server::{TestServer, program},
    tools::run,
};

use crate::node;

#[test]
fn a_password_and_a_database_are_used() {
    let redis = Redis::start(&["--requirepass", "hush-hush"]);
    let url = format!("redis://:hush-hush@127.0.0.1:{}/5", redis.port);
    let n1 = node("n1", &url, &[]);
    let _live = RtmpPeer::publish(&n1, "r");
    assert_eq!(redis.ask(&["-a", "hush-hush", "-n", "5", "KEYS", "stream:*"]), ["stream:r"]);
    assert!(n1.log.lines().iter().all(|line| !line.contains("hush-hush")));
    let mut wrong = program();
    wrong.args(["--redis-url", &url.replace("hush-hush", "loud-loud")]);
    let ended = run_to_end(wrong);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("loud-loud") && ended.stderr.contains("REDIS_URL"), "{ended:?}");
}

/// A certificate for 127.0.0.1, signed by itself.
fn certificate(directory: &Path) -> (String, String) {
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &key, "-out", &certificate]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    run(&mut openssl);
    (key, certificate)
}

#[test]
fn tls_is_used_and_its_certificate_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let (key, certificate) = certificate(directory.path());
    let tls = ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
    let redis = Redis::start(&[&tls[..], &files].concat());
    let url = format!("rediss://127.0.0.1:{}", redis.port);
    let mut trusting = program();
    trusting.env("SSL_CERT_FILE", &certificate).args(["--node-id", "n1", "--redis-url", &url]);
    let n1 = TestServer::of(trusting);
    let _live = RtmpPeer::publish(&n1, "r");
    let rooms = redis.ask(&["--tls", "--cacert", &certificate, "KEYS", "stream:*"]);
    assert_eq!(rooms, ["stream:r"]);
    let mut suspicious = program();
    suspicious.args(["--redis-url", &url]);
    let ended = run_to_end(suspicious);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.to_lowercase().contains("certificate"), "{ended:?}");
}
