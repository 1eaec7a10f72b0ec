//! A viewer that cannot keep up loses pictures up to a keyframe, and that is counted. It delays nobody: everyone else
//! sees every frame, and the publisher is never held up.

use std::net::TcpStream;

use synctv_media::{
    frame::{Frame, Track},
    rtmp::client::{Client, ClientEvent},
};

use crate::support::{
    PATIENCE,
    flv_file::coded,
    flv_viewer::{FlvViewer, ask},
    frames,
    log_book::LogLine,
    rtmp_peer::{Next, RtmpPeer, dial_with_small_buffer, widen},
    server::Server,
    show::{STEP_MS, Show},
};

/// A picture's size: so large that a few fill what the kernel holds for a connection.
const PICTURE_BYTES: usize = 64 * 1024;

/// Pictures while the slow viewer sleeps: 16 MiB and 26 s of media, several times what may wait for it.
const MISSED: u32 = 256;

#[test]
fn over_http_flv() {
    let server = Server::start(&[]);
    let mut show = Show::start(&server, "r", PICTURE_BYTES);
    let mut socket = dial_with_small_buffer(server.http);
    ask(&mut socket, "/r.flv");
    wait_for_viewer(&server, &socket);
    let sent = show.steps(MISSED);
    // It wakes up; the response waited for it in the kernel.
    widen(&socket);
    let mut slow = FlvViewer::of(socket);
    let seen = watch(&mut show, sent, |last| slow.frames_until(last));
    drop(slow);
    assert_skipped(&seen);
    assert_counted(&server.wait_for_viewer_leaving("r", "http-flv"));
}

#[test]
fn over_rtmp() {
    let server = Server::start(&[]);
    let mut show = Show::start(&server, "r", PICTURE_BYTES);
    let socket = dial_with_small_buffer(server.rtmp);
    let mut slow = RtmpPeer::start(socket, Client::player("live", "r")).expect("the play is accepted");
    let sent = show.steps(MISSED);
    widen(slow.socket());
    let seen = watch(&mut show, sent, |last| {
        let mut frames: Vec<Frame> = Vec::new();
        while frames.last().is_none_or(|frame| frame.payload != last.payload) {
            match slow.next(PATIENCE) {
                Next::Event(ClientEvent::Frame(frame)) => frames.push(frame),
                Next::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
        frames
    });
    drop(slow);
    assert_skipped(&seen);
    assert_counted(&server.wait_for_viewer_leaving("r", "rtmp"));
}

/// What the slow viewer gets of what it missed, and up to a keyframe and the picture behind it that come when it is
/// awake: it cannot tell what it will be spared, but it gets these.
fn watch(
    show: &mut Show,
    mut sent: Vec<Frame>,
    mut frames_until: impl FnMut(&Frame) -> Vec<Frame> + Send,
) -> Seen {
    let more = show.step_to_keyframe();
    let last = show.step();
    sent.extend(more);
    sent.push(last.clone());
    let came = frames_until(&last);
    Seen { sent, came }
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
    let intact = |frame: &Frame| frame.payload.len() == PICTURE_BYTES;
    assert!(came.iter().all(intact), "what came is whole");
    let sent_or_cached = came.iter().filter(|frame| frame.timestamp_ms > 0);
    assert!(sent_or_cached.into_iter().all(|frame| seen.sent.contains(frame)));
    frames::assert_never_back(&coded(&seen.came, Track::Video));
}

/// Behind a gap comes a keyframe, with metadata and both sequence headers in front.
fn assert_headers_before(came: &[Frame], frame: &Frame) {
    assert!(frames::is_keyframe(frame), "at {} ms", frame.timestamp_ms);
    let at = came.iter().position(|other| other == frame).expect("it came");
    let before = frames::payloads(&came[at - 3..at]);
    assert_eq!(before, frames::payloads(&frames::headers()));
}

fn assert_counted(left: &LogLine) {
    assert!(left.number("skips") >= 1, "{left:?}");
    assert!(left.number("dropped_tags") >= 1, "{left:?}");
}

#[test]
fn one_that_falls_behind_in_time_skips_too_however_small_the_frames() {
    // The kernel holds thousands of small frames: the bound is what lets the server notice.
    let server = Server::start(&["--viewer-queue-ms", "100"]);
    let mut show = Show::start(&server, "r", PICTURE_BYTES);
    let mut socket = dial_with_small_buffer(server.http);
    ask(&mut socket, "/r.flv");
    wait_for_viewer(&server, &socket);
    show.steps(MISSED);
    drop(socket);
    assert_counted(&server.wait_for_viewer_leaving("r", "http-flv"));
}

fn wait_for_viewer(server: &Server, socket: &TcpStream) {
    let address = socket.local_addr().expect("a connected socket has an address").to_string();
    server.log.find("viewer came", |line| {
        line.says("viewer came", "r") && line.text("peer") == address
    });
}
