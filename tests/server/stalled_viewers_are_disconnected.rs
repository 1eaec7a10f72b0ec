//! A viewer that takes no bytes for the set time is disconnected, and the log has the reason. A viewer of a stream that has
//! nothing to send is not.

use synctv_media::rtmp::client::Client;
use synctv_testkit::{
    flv::FlvViewer, frames, http::send_get, log_book::LogLine, publisher_script::PublisherScript,
    rtmp::RtmpPeer, server::TestServer, socket::dial_with_small_buffer,
};

const FLAGS: [&str; 2] = ["--viewer-stall-timeout-s", "2"];
const FRAME_BYTES: usize = 256 * 1024;

#[test]
fn over_http_flv() {
    let left = stalled_over_http_flv(&TestServer::start(&FLAGS));
    assert_eq!(left.text("level"), "warn");
}

fn stalled_over_http_flv(server: &TestServer) -> LogLine {
    let script = PublisherScript::start(server, "r", FRAME_BYTES);
    let mut stalled = dial_with_small_buffer(server.http);
    send_get(&mut stalled, "/r.flv");
    let address = stalled.local_addr().expect("a connected socket has an address");
    step_until_disconnected(server, script, &address.to_string())
}

#[test]
fn over_rtmp() {
    let server = TestServer::start(&FLAGS);
    let script = PublisherScript::start(&server, "r", FRAME_BYTES);
    let socket = dial_with_small_buffer(server.rtmp);
    let stalled = RtmpPeer::start(socket, Client::player("live", "r")).expect("the play is accepted");
    step_until_disconnected(&server, script, &stalled.address().to_string());
}

/// The stream goes on for the others until the stalled viewer is disconnected.
fn step_until_disconnected(server: &TestServer, mut script: PublisherScript, peer: &str) -> LogLine {
    let is_it = |line: &LogLine| line.says("viewer disconnected", "r") && line.text("peer") == peer;
    while server.log.count(is_it) == 0 {
        script.step();
    }
    let left = server.log.find("viewer disconnected", is_it);
    assert_eq!(left.text("why"), "stalled: no bytes accepted for 2 s");
    script.steps(3);
    left
}

#[test]
fn but_not_one_for_whom_there_is_nothing_to_take() {
    let server = TestServer::start(&FLAGS);
    let (mut publisher, mut idle) = idle_viewer(&server);
    // It takes nothing for longer than one that is disconnected for that.
    stalled_over_http_flv(&server);
    publisher.send(&frames::inter(4000, 1));
    idle.frames_until(&frames::inter(4000, 1));
}

fn idle_viewer(server: &TestServer) -> (RtmpPeer, FlvViewer) {
    let mut publisher = RtmpPeer::publish(server, "idle");
    publisher.send_all(&frames::headers());
    publisher.send(&frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(server, "idle");
    viewer.frames_until(&frames::keyframe(0, 0));
    (publisher, viewer)
}
