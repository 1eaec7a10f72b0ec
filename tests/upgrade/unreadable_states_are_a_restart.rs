//! A program that cannot read the state that it gets says why, closes the connections and starts as usual: the same process, the
//! same ports, and the room is its publisher's again when that comes back.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    log_book::LogLine,
    redis::{Redis, free_port},
    rtmp::RtmpPeer,
    wait::poll_until,
};

use crate::{
    altered_handover::{Alteration, run_between},
    installed::Installed,
};

/// This module, as tests are named.
const HERE: &str = "unreadable_states_are_a_restart";

#[test]
fn of_another_version() {
    run_between();
    restarts(Alteration::Version, "of_another_version", "the state has version");
}

#[test]
fn that_is_cut_off() {
    run_between();
    restarts(Alteration::Truncated, "that_is_cut_off", "the state is cut off");
}

#[test]
fn that_is_damaged() {
    run_between();
    restarts(Alteration::Damaged, "that_is_damaged", "its checksum differs");
}

#[test]
fn that_is_something_else() {
    run_between();
    restarts(Alteration::Foreign, "that_is_something_else", "not a state of synctv-stream");
}

/// A node of a cluster, whose claim on the room outlives the connections.
fn restarts(alteration: Alteration, test: &str, reason: &str) {
    let redis = Redis::start(&[]);
    let url = redis.url();
    // The next program binds the ports again, and has to find the same ones.
    let [rtmp, http] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("ADVERTISE_HOST", "127.0.0.1"),
        ("RTMP_ADDR", rtmp.as_str()),
        ("HTTPFLV_ADDR", http.as_str()),
    ];
    let mut installed = Installed::start(&[], &variables);
    let server = &installed.server;
    let mut publisher = RtmpPeer::publish(server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 1)]);
    let mut viewer = FlvViewer::open(server, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    alteration.install(&installed, &format!("{HERE}::{test}"));
    server.signal("USR2");
    let said =
        |line: &LogLine| line.text("msg").starts_with("the state of the upgraded server cannot be read");
    let line = server.log.find("why the state is not read", said);
    assert!(line.text("reason").contains(reason), "{line:?}");
    server.log.find_nth(2, "started", |line| line.text("msg") == "started");
    publisher.wait_for_end();
    assert!(viewer.frames_to_the_end().is_empty());
    assert_eq!(server.log.count(|line| line.text("msg") == "upgraded"), 0);
    poll_until("the server is ready", || {
        (request(server.http, "GET", "/readyz").status == 200).then_some(())
    });
    let mut publisher = poll_until("the publisher's room", || RtmpPeer::try_publish(server, "r").ok());
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 2)]);
    FlvViewer::open(server, "r").frames_until(&frames::keyframe(0, 2));
    installed.server.assert_unhurt();
}
