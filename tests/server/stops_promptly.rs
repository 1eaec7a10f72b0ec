//! SIGTERM and SIGINT end the server within seconds and with exit code 0, whoever is connected.

use synctv_testkit::{
    flv::FlvViewer, frames, http::request, publisher_script::PublisherScript, rtmp::RtmpPeer,
    server::TestServer, socket::dial,
};

#[test]
fn on_sigterm_with_everyone_connected() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", 100);
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    let _player = RtmpPeer::play(&server, "r");
    let _undecided = dial(server.rtmp);
    let _silent = dial(server.http);
    script.step();
    server.signal("TERM");
    let status = server.wait_for_exit();
    assert_eq!(status.code(), Some(0));
    while viewer.next_frame().is_some() {}
}

#[test]
fn on_sigint_with_nobody_connected() {
    let server = TestServer::start(&[]);
    // What it answers, it can also be asked to stop.
    request(server.http, "GET", "/");
    server.signal("INT");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
