//! A new certificate is used from the next handshake on, and open connections are not touched.

use std::fs;

use synctv_testkit::{
    frames,
    tls::{KeyKind, TestAuthority},
};

use crate::{publish, start, watch};

const VIEWERS: usize = 100;

#[test]
fn a_new_pair_is_shown_and_connections_stay() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    let mut viewers: Vec<_> = (0..VIEWERS).map(|_| watch(&authority, &server, "r")).collect();
    let first = authority.certificate_shown(server.tls());
    authority.sign("the second", KeyKind::Ecdsa);
    server.signal("HUP");
    server.log.find("certificate reloaded", |line| line.mentions("certificate reloaded"));
    assert_ne!(authority.certificate_shown(server.tls()), first);
    let last = frames::inter(40, 1);
    publisher.send(&last);
    for viewer in &mut viewers {
        viewer.frames_until(&last);
    }
    publisher.unpublish();
}

#[test]
fn files_are_looked_at_without_a_signal_as_well() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let first = authority.certificate_shown(server.tls());
    authority.sign("the second", KeyKind::Rsa);
    server.log.find("certificate reloaded", |line| line.mentions("certificate reloaded"));
    assert_ne!(authority.certificate_shown(server.tls()), first);
}

#[test]
fn a_pair_that_does_not_match_is_not_taken_and_said_once() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let first = authority.certificate_shown(server.tls());
    let read = |path| fs::read_to_string(path).expect("the certificate can be read");
    let good = read(authority.certificate());
    authority.replace(&authority.certificate(), &read(TestAuthority::new().certificate()));
    for _ in 0..2 {
        server.signal("HUP");
    }
    server.log.find_only("certificate not reloaded", |line| {
        line.mentions("certificate not reloaded") && line.text("why").contains("does not fit TLS_CERT=")
    });
    assert_eq!(authority.certificate_shown(server.tls()), first, "the old one stays");
    // The first again is no news; the one after that is.
    authority.replace(&authority.certificate(), &good);
    server.signal("HUP");
    authority.sign("the third", KeyKind::Ecdsa);
    server.signal("HUP");
    server.log.find("certificate reloaded", |line| line.mentions("certificate reloaded"));
    assert_ne!(authority.certificate_shown(server.tls()), first);
}
