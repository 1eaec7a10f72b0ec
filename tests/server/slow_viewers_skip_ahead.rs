//! A viewer that cannot keep up loses frames up to a keyframe, and that is counted. It delays no one: all other viewers
//! get every frame, and the publisher is never held up.

use std::{net::TcpStream, sync::mpsc, thread, time::Duration};

use synctv_media::{
    rtmp::client::Client,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::{FlvViewer, coded},
    frames,
    http::send_get,
    log_book::LogLine,
    publisher_script::{PublisherScript, STEP_MS},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::{dial_with_small_buffer, widen},
};

/// A frame's size: so large that a few fill what the kernel holds for a connection.
const FRAME_BYTES: usize = 64 * 1024;

/// Frames while the slow viewer sleeps: 16 MiB and 26 s of media, several times what may wait for it.
const MISSED: u32 = 256;

#[test]
fn over_http_flv() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let mut socket = dial_with_small_buffer(server.http);
    send_get(&mut socket, "/r.flv");
    wait_for_viewer(&server, &socket);
    let missed = script.steps(MISSED);
    // It wakes up; the response waited for it in the kernel.
    widen(&socket);
    let mut slow = FlvViewer::of(socket);
    let seen = wake(&mut script, missed, || slow.next_frame().expect("the stream goes on"));
    drop(slow);
    assert_skipped(&seen);
    assert_counted(&server.wait_for_viewer_leaving("r", "http-flv"));
}

#[test]
fn over_rtmp() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let socket = dial_with_small_buffer(server.rtmp);
    let mut slow = RtmpPeer::start(socket, Client::player("live", "r")).expect("the play is accepted");
    let missed = script.steps(MISSED);
    widen(slow.socket());
    let seen = wake(&mut script, missed, || slow.next_frame().expect("the stream goes on"));
    drop(slow);
    assert_skipped(&seen);
    assert_counted(&server.wait_for_viewer_leaving("r", "rtmp"));
}

/// The slow viewer reads again while the stream goes on, until it has a keyframe that it did not sleep through, and the
/// frame behind that.
fn wake(script: &mut PublisherScript, missed: Vec<Frame>, mut next: impl FnMut() -> Frame + Send) -> Seen {
    let slept_until_ms = missed.last().map_or(0, |frame| frame.timestamp_ms);
    let mut sent = missed;
    let (note, noted) = mpsc::channel();
    let came = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut came = Vec::new();
            while !has_caught_up(&came, slept_until_ms) {
                came.push(next());
                let _ = note.send(());
            }
            came
        });
        while !reader.is_finished() {
            sent.push(script.step());
            // The stream's time runs faster than the clock: a viewer that reads must not count as slow for that.
            let _ = noted.recv_timeout(Duration::from_millis(50));
        }
        reader.join().expect("the viewer catches up")
    });
    Seen { sent, came }
}

fn has_caught_up(came: &[Frame], slept_until_ms: u32) -> bool {
    let keyframe =
        came.iter().position(|frame| frames::is_keyframe(frame) && frame.timestamp_ms > slept_until_ms);
    keyframe.is_some_and(|at| came.len() > at + 1)
}

struct Seen {
    sent: Vec<Frame>,
    came: Vec<Frame>,
}

fn assert_skipped(seen: &Seen) {
    let came = coded(&seen.came, Track::Video);
    assert!(came.len() < seen.sent.len(), "something was left out");
    let mut after_gap = 0;
    for two in came.windows(2) {
        if two[1].timestamp_ms - two[0].timestamp_ms > STEP_MS {
            after_gap += 1;
            assert_headers_before(&seen.came, &two[1]);
        }
    }
    assert!(after_gap >= 1, "there is a gap");
    let intact = |frame: &Frame| frame.payload.len() == FRAME_BYTES;
    assert!(came.iter().all(intact), "what came is whole");
    let sent_or_cached = came.iter().filter(|frame| frame.timestamp_ms > 0);
    assert!(sent_or_cached.into_iter().all(|frame| seen.sent.contains(frame)));
    frames::assert_never_back(&coded(&seen.came, Track::Video));
}

/// Behind a gap comes a keyframe, with metadata and its sequence header in front.
fn assert_headers_before(came: &[Frame], frame: &Frame) {
    assert!(frames::is_keyframe(frame), "at {} ms", frame.timestamp_ms);
    let at = came.iter().position(|other| other == frame).expect("it came");
    let before = frames::payloads(&came[at - 2..at]);
    assert_eq!(before, frames::payloads(&frames::video_headers()));
}

fn assert_counted(left: &LogLine) {
    assert!(left.number("skips") >= 1, "{left:?}");
    assert!(left.number("dropped_tags") >= 1, "{left:?}");
}

#[test]
fn one_that_falls_behind_in_time_skips_too_however_small_the_frames() {
    // The kernel holds thousands of small frames: the bound is what lets the server notice.
    let server = TestServer::start(&["--viewer-queue-ms", "100"]);
    let mut script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let mut socket = dial_with_small_buffer(server.http);
    send_get(&mut socket, "/r.flv");
    wait_for_viewer(&server, &socket);
    script.steps(MISSED);
    drop(socket);
    assert_counted(&server.wait_for_viewer_leaving("r", "http-flv"));
}

fn wait_for_viewer(server: &TestServer, socket: &TcpStream) {
    let address = socket.local_addr().expect("a connected socket has an address").to_string();
    server
        .log
        .find("viewer connected", |line| line.says("viewer connected", "r") && line.text("peer") == address);
}
