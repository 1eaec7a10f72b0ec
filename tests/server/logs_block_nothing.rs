//! A reader of stderr that stops reading stops nothing else: a terminal after Ctrl-S, a container's log driver that hangs.

use crate::support::{PATIENCE, flv_viewer::FlvViewer, server::Server, show::Show};

/// More than a pipe and its reader hold, at two lines a viewer.
const VIEWERS: usize = 400;

/// Stops reading the log, and lets viewers come and leave until nothing more fits into the pipe.
fn fill_the_pipe(server: &Server, room: &str) {
    server.log.hold();
    (0..VIEWERS).for_each(|_| drop(FlvViewer::open(server, room)));
}

#[test]
fn media_goes_on_and_every_line_comes_once_the_log_is_read_again() {
    let server = Server::start(&[]);
    let mut show = Show::start(&server, "r", 100);
    fill_the_pipe(&server, "r");
    show.steps(50);
    let is_leaving = |line: &crate::support::log_book::LogLine| line.says("viewer left", "r");
    assert!(server.log.count(is_leaving) < VIEWERS, "the pipe is full");
    server.log.release();
    server.log.find_nth(VIEWERS, "viewer left", is_leaving);
}

#[test]
fn the_server_stops_though_its_last_lines_are_not_read() {
    let server = Server::start(&[]);
    let show = Show::start(&server, "r", 100);
    fill_the_pipe(&server, "r");
    server.signal("TERM");
    let log = server.log.clone();
    assert_eq!(server.wait(PATIENCE).code(), Some(0));
    log.release();
    drop(show);
}
