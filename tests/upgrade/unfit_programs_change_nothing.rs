//! A program that does not start, or refuses its settings, does not take over; everyone stays connected.

use synctv_testkit::{flv::FlvViewer, frames, http::request, rtmp::RtmpPeer};

use crate::installed::Installed;

#[test]
fn the_reason_is_logged_and_the_stream_goes_on() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    installed.replace_with_script("echo 'TLS_CERT=x: no such file' >&2; exit 2");
    let reason = installed.upgrade_in_vain();
    assert!(reason.contains("exit status: 2") && reason.ends_with("TLS_CERT=x: no such file"), "{reason}");
    installed.replace_with(b"no program");
    let reason = installed.upgrade_in_vain();
    assert!(reason.starts_with("it cannot be run"), "{reason}");
    publisher.send(&frames::inter(40, 2));
    viewer.frames_until(&frames::inter(40, 2));
    assert_eq!(request(installed.server.http, "GET", "/readyz").status, 200);
    installed.server.assert_unhurt();
}

#[test]
fn a_program_that_cannot_be_run_after_all_leaves_everyone_where_they_are() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&installed.server, "r");
    let mut player = RtmpPeer::play(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    player.frames_until(&frames::keyframe(0, 1));
    // It checks its settings, and then its file is removed.
    installed.replace_with_script("rm \"$0\"; exit 0");
    let reason = installed.upgrade_in_vain();
    assert!(reason.contains("cannot be replaced"), "{reason}");
    let resumed = installed.server.log.find("all resumed", |line| line.text("msg") == "connections resumed");
    assert_eq!((resumed.number("publishers"), resumed.number("viewers")), (1, 2), "{resumed:?}");
    for number in 2..20 {
        publisher.send(&frames::inter(number * 40, number));
        viewer.frames_until(&frames::inter(number * 40, number));
        player.frames_until(&frames::inter(number * 40, number));
    }
    FlvViewer::open(&installed.server, "r").frames_until(&frames::inter(19 * 40, 19));
    assert_eq!(request(installed.server.http, "GET", "/readyz").status, 200);
    installed.server.assert_unhurt();
}
