//! A program that does not start, hangs or refuses its settings does not take over, nor does any if there is no descriptor left for
//! it; everyone stays connected.

use std::{collections::BTreeSet, fs, process::Command};

use synctv_testkit::{
    flv::FlvViewer, frames, http::request, log_book::LogLine, rtmp::RtmpPeer, wait::poll_until,
};

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

#[test]
fn a_program_that_hangs_is_given_up_and_ended() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    let directory = tempfile::tempdir().expect("a directory for the id");
    let id = directory.path().join("id");
    installed.replace_with_script(&format!("echo $$ > {}; exec sleep 600", id.display()));
    let reason = installed.upgrade_in_vain();
    assert!(reason.contains("--check took more than 10 s"), "{reason}");
    let id = fs::read_to_string(&id).expect("it was run");
    poll_until("the program's end", || {
        // Its end may not be noted yet.
        let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    publisher.send(&frames::inter(40, 1));
    viewer.frames_until(&frames::inter(40, 1));
    installed.server.assert_unhurt();
}

#[test]
fn however_few_descriptors_are_left_everyone_stays_connected() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut viewer = FlvViewer::open(&installed.server, "r");
    let mut player = RtmpPeer::play(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    player.frames_until(&frames::keyframe(0, 0));
    let is_upgraded = |line: &LogLine| line.text("msg") == "upgraded";
    let is_given_up = |line: &LogLine| line.text("msg").starts_with("upgrade given up");
    let mut given_up = 0;
    for left in 0.. {
        leave_descriptors(installed.server.id(), left);
        installed.server.signal("USR2");
        let end = installed
            .server
            .log
            .find_nth(given_up + 1, "an end of the upgrade", |line| is_upgraded(line) || is_given_up(line));
        let number = left as u32 + 1;
        publisher.send(&frames::inter(number * 40, number));
        viewer.frames_until(&frames::inter(number * 40, number));
        player.frames_until(&frames::inter(number * 40, number));
        if is_upgraded(&end) {
            break;
        }
        given_up += 1;
    }
    assert!(given_up > 2, "some were too few");
    let resumed = installed.server.log.count(|line| line.text("msg") == "connections resumed");
    assert!(resumed > 0, "some were too few only when everything had stopped");
    installed.server.assert_unhurt();
}

/// Limits the descriptors of a process so that it can open `left` more. The next program raises this soft limit again.
fn leave_descriptors(process: u32, left: usize) {
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs");
    let open: BTreeSet<usize> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let limit = (0..).filter(|number| !open.contains(number)).nth(left).expect("there are numbers enough");
    let status =
        Command::new("prlimit").arg(format!("--pid={process}")).arg(format!("--nofile={limit}:")).status();
    assert!(status.is_ok_and(|status| status.success()), "prlimit");
}
