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
    let server = start(&authority, &["--handshake-timeout-s", "2"]);
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
    server.log.find("TLS connection refused", |line| line.text("why") == "no TLS handshake within 2 s");
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
