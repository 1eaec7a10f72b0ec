//! An order to upgrade that comes during an upgrade starts no second one.

use std::fs;

use synctv_testkit::{
    flv::FlvViewer, frames, http::request, log_book::LogLine, rtmp::RtmpPeer, wait::poll_until,
};

use crate::installed::Installed;

#[test]
fn further_orders_meanwhile_are_part_of_it() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    let directory = tempfile::tempdir().expect("a directory for the signs");
    let (checks, go) = (directory.path().join("checks"), directory.path().join("go"));
    let path = directory.path().to_str().expect("its path is text");
    installed.replace_with_script(&format!(
        "[ \"$1\" = --check ] || exec PROGRAM \"$@\"\n\
         touch {path}/checks\n\
         while [ ! -e {path}/go ]; do sleep 0.02; done"
    ));
    installed.server.signal("USR2");
    poll_until("the check of the next program", || checks.exists().then_some(()));
    installed.server.signal("USR2");
    // The server has handled it: signals come before later requests.
    assert_eq!(request(installed.server.http, "GET", "/readyz").status, 200);
    fs::write(&go, "").expect("the check can go on");
    let upgraded = |line: &LogLine| line.text("msg") == "upgraded";
    installed.server.log.find("upgraded", upgraded);
    publisher.send(&frames::inter(40, 1));
    viewer.frames_until(&frames::inter(40, 1));
    installed.server.signal("USR2");
    installed.server.log.find_nth(2, "upgraded again", upgraded);
    publisher.send(&frames::inter(80, 2));
    viewer.frames_until(&frames::inter(80, 2));
    let started = installed.server.log.count(|line| line.text("msg") == "upgrade started");
    assert_eq!(started, 2, "one for each order that no upgrade was under way for");
    installed.server.assert_unhurt();
}
