//! A reader of stderr that stops reading stops nothing else: a terminal after Ctrl-S, a container's log driver that hangs.

use synctv_testkit::{flv::FlvViewer, publisher_script::PublisherScript, server::TestServer};

/// More than a pipe and its reader hold, at two lines a viewer.
const VIEWERS: usize = 400;

/// Stops reading the log, and lets viewers come and leave until nothing more fits into the pipe.
fn fill_the_pipe(server: &TestServer, room: &str) {
    server.log.hold();
    (0..VIEWERS).for_each(|_| drop(FlvViewer::open(server, room)));
}

#[test]
fn media_goes_on_and_every_line_comes_once_the_log_is_read_again() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", 100);
    fill_the_pipe(&server, "r");
    script.steps(50);
    let is_leaving = |line: &synctv_testkit::log_book::LogLine| line.says("viewer disconnected", "r");
    assert!(server.log.count(is_leaving) < VIEWERS, "the pipe is full");
    server.log.release();
    server.log.find_nth(VIEWERS, "viewer disconnected", is_leaving);
}

#[test]
fn the_server_stops_though_its_last_lines_are_not_read() {
    let server = TestServer::start(&[]);
    let script = PublisherScript::start(&server, "r", 100);
    fill_the_pipe(&server, "r");
    server.signal("TERM");
    let log = server.log.clone();
    assert_eq!(server.wait_for_exit().code(), Some(0));
    log.release();
    drop(script);
}
