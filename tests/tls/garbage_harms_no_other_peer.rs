//! Handshakes that do not end, and bytes that are none, cost the others nothing.

use std::io::Write;

use synctv_testkit::{
    frames,
    socket::{dial, read_to_close},
    tls::TestAuthority,
};

use crate::{publish, start, watch};

/// A ClientHello that says to be longer than what comes of it.
const HALF: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x55\x55";

#[test]
fn handshakes_that_stand_still_keep_no_others_waiting_and_end() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--handshake-timeout-s", "5"]);
    let mut standing: Vec<_> = (0..300).map(|_| dial(server.tls())).collect();
    for (at, socket) in standing.iter_mut().enumerate() {
        // Some say nothing at all.
        if at % 3 > 0 {
            socket.write_all(HALF).expect("the server takes it");
        }
    }
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    watch(&authority, &server, "r").frames_until(&frames::keyframe(0, 0));
    for socket in &mut standing {
        assert!(read_to_close(socket).is_empty());
    }
    server.log.find("TLS connection refused", |line| line.text("why") == "no TLS handshake within 5 s");
}

#[test]
fn a_hello_that_does_not_end_is_refused_once_it_is_longer_than_a_record() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--handshake-timeout-s", "60"]);
    // The message says to have 65,535 bytes, in records of 16,000.
    let mut first = [&b"\x16\x03\x01\x3e\x80\x01\x00\xff\xff\x03\x03"[..], &[7; 15_994]].concat();
    first.extend_from_slice(b"\x16\x03\x01\x3e\x80");
    let mut socket = dial(server.tls());
    socket.write_all(&[first, vec![7; 16_000]].concat()).expect("the server takes it");
    read_to_close(&mut socket);
    server
        .log
        .find("TLS connection refused", |line| line.text("why").contains("a TLS message has more than"));
}

/// Numbers that look random, the same in each run (xorshift).
fn noise(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(size_bytes).collect()
}

#[test]
fn random_bytes_end_their_own_connection_before_and_after_the_handshake() {
    let authority = TestAuthority::new();
    let mut server = start(&authority, &["--handshake-timeout-s", "5"]);
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    for seed in 1..=10 {
        let noise = noise(seed, 40 * seed as usize * seed as usize);
        for beginning in [&b""[..], b"\x16\x03\x01\x02\x00", HALF] {
            let mut socket = dial(server.tls());
            // It may be refused before it has sent everything.
            let _ = socket.write_all(&[beginning, &noise].concat());
            let _ = socket.shutdown(std::net::Shutdown::Write);
            read_to_close(&mut socket);
        }
        // Below an open connection: whole records of it, and half a one.
        for beginning in [&b""[..], b"\x17\x03\x03\x00\x20", b"\x17\x03\x03\x40\x00"] {
            let tls_socket = dial(server.tls());
            let mut same_socket = tls_socket.try_clone().expect("it can be cloned");
            let mut over_tls = authority.dial_over(tls_socket);
            let _ = same_socket.write_all(&[beginning, &noise].concat());
            let _ = same_socket.shutdown(std::net::Shutdown::Write);
            read_to_close(&mut over_tls);
        }
        // And as what is encrypted.
        let mut over_tls = authority.dial(server.tls());
        let _ = over_tls.write_all(&noise);
        let _ = over_tls.shutdown(std::net::Shutdown::Write);
        read_to_close(&mut over_tls);
    }
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    watch(&authority, &server, "r").frames_until(&frames::keyframe(0, 0));
    server.assert_unhurt();
}

#[test]
fn bytes_that_are_no_tls_end_their_own_connection() {
    let authority = TestAuthority::new();
    let mut server = start(&authority, &[]);
    let mut publisher = publish(&authority, &server, "r").expect("the publish is accepted");
    let hellos =
        [HALF.to_vec(), [HALF, &[0xff; 600]].concat(), [&b"\x16\x03\x01\xff\xff"[..], &[1; 70_000]].concat()];
    for bytes in hellos {
        let mut socket = dial(server.tls());
        // It may be refused before it has sent everything.
        let _ = socket.write_all(&bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        read_to_close(&mut socket);
    }
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    watch(&authority, &server, "r").frames_until(&frames::keyframe(0, 0));
    server.assert_unhurt();
}
