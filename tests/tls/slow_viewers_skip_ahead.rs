//! A TLS viewer that does not keep up skips to a keyframe, like a plain one, and one that reads nothing is disconnected.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::send_get,
    publisher_script::{PublisherScript, STEP_MS},
    socket::{dial_with_small_buffer, widen},
    tls::TestAuthority,
};

use crate::start;

const FRAME_BYTES: usize = 60_000;

/// More frames than the kernel, the sockets between the test and its TLS client, and the queue hold together.
const MISSED: u32 = 600;

#[test]
fn it_falls_behind_and_is_moved_on() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--viewer-queue-mb", "1", "--publisher-grace-s", "0"]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let tls_socket = dial_with_small_buffer(server.tls());
    let same_socket = tls_socket.try_clone().expect("it can be cloned");
    let mut socket = authority.dial_over(tls_socket);
    send_get(&mut socket, "/r.flv");
    server.log.find("viewer connected", |line| line.says("viewer connected", "r"));
    script.steps(MISSED);
    widen(&same_socket);
    let mut viewer = FlvViewer::of(socket);
    let mut before_ms = None;
    loop {
        let frame = viewer.next_media().expect("the stream goes on");
        if !frames::is_coded(&frame) {
            continue;
        }
        if before_ms.is_some_and(|before_ms| frame.timestamp_ms - before_ms > STEP_MS) {
            assert!(frames::is_keyframe(&frame), "at {} ms", frame.timestamp_ms);
            break;
        }
        before_ms = Some(frame.timestamp_ms);
    }
    drop((viewer, script));
    server.log.find("the viewer's losses are counted", |line| {
        line.says("viewer disconnected", "r") && line.number("skips") > 0 && line.number("dropped_tags") > 0
    });
}

#[test]
fn one_that_reads_nothing_is_disconnected() {
    let authority = TestAuthority::new();
    let server = start(&authority, &["--viewer-stall-timeout-s", "3"]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let mut socket = authority.dial_over(dial_with_small_buffer(server.tls()));
    send_get(&mut socket, "/r.flv");
    server.log.find("viewer connected", |line| line.says("viewer connected", "r"));
    script.steps(MISSED);
    let left = server.wait_for_viewer_leaving("r", "http-flv");
    assert_eq!(left.text("why"), "stalled: no bytes accepted for 3 s");
}
