//! A certificate that cannot be used ends the start with exit code 2 and one line that names the file.

use std::fs;

use synctv_testkit::{
    process::{Ended, run_to_end},
    server::program,
    tls::{KeyKind, TestAuthority},
};

use crate::{https, start};

fn ended(flags: &[String]) -> Ended {
    let mut command = program();
    command.args(flags);
    run_to_end(command)
}

fn assert_refused(flags: &[String], words: &[&str]) {
    let ended = ended(flags);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(words.iter().all(|words| ended.stderr.contains(words)), "{words:?}: {ended:?}");
}

#[test]
fn what_is_missing_is_named() {
    let flags = TestAuthority::new().flags();
    assert_refused(&flags[..2], &["TLS_ADDR needs TLS_CERT"]);
    assert_refused(&flags[..4], &["TLS_ADDR needs TLS_KEY"]);
    assert_refused(&["--tls-addr".to_owned(), "here".to_owned()], &["TLS_ADDR", "here"]);
    assert_refused(&[&flags[..], &["--tls-min".to_owned(), "1.1".to_owned()]].concat(), &["TLS_MIN", "1.1"]);
}

#[test]
fn files_that_are_no_pair_are_named() {
    let authority = TestAuthority::new();
    let flags = authority.flags();
    let (certificate, key) = (authority.certificate(), authority.key());
    let good_key = fs::read_to_string(&key).unwrap();
    authority.sign("another", KeyKind::Ecdsa);
    authority.replace(&key, &good_key);
    assert_refused(&flags, &["TLS_KEY=", "does not fit TLS_CERT=", "key.pem"]);
    authority.replace(&key, "no PEM");
    assert_refused(&flags, &["TLS_KEY=", "key.pem", "no private key in PEM"]);
    authority.replace(&certificate, &good_key);
    assert_refused(&flags, &["TLS_CERT=", "certificate.pem", "no certificate in PEM"]);
    fs::remove_file(&certificate).unwrap();
    assert_refused(&flags, &["TLS_CERT=", "certificate.pem", "No such file"]);
}

#[test]
fn rsa_keys_are_as_good() {
    let authority = TestAuthority::with_key(KeyKind::Rsa);
    let server = start(&authority, &[]);
    assert!(!authority.certificate_shown(server.tls()).is_empty());
    assert!(https(server.tls(), "/").starts_with("https://localhost:"));
}
