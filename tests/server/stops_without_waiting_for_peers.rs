//! SIGTERM and SIGINT end the server with exit code 0, without waiting until peers disconnect; SIGHUP does not end it.

use synctv_testkit::{
    flv::FlvViewer, frames, http::request, publisher_script::PublisherScript, rtmp::RtmpPeer,
    server::TestServer, socket::dial,
};

#[test]
fn on_sigterm_with_peers_of_every_kind() {
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
fn on_sighup_it_goes_on() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", 100);
    server.signal("HUP");
    server.log.find("signal ignored", |line| line.text("signal") == "SIGHUP");
    script.steps(2);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn on_sigint_without_a_peer() {
    let server = TestServer::start(&[]);
    // From its first answer on, it can be asked to stop.
    request(server.http, "GET", "/");
    server.signal("INT");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
