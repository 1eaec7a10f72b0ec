//! A program that gets no state that it can read closes the connections, says so and serves on the same ports.

use synctv_testkit::{flv::FlvViewer, frames, rtmp::RtmpPeer};

use crate::installed::Installed;

#[test]
fn the_ports_are_bound_again() {
    let installed = Installed::start(&[], &[]);
    let address = installed.server.rtmp.port().to_string();
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    // The ports were chosen by the system, and are named now.
    let http = installed.server.http;
    installed.replace_with_script(&format!(
        "[ \"$1\" = --check ] && exit 0\n\
         RTMP_ADDR=127.0.0.1:{address} HTTPFLV_ADDR={http} exec PROGRAM --take-handover </dev/null"
    ));
    installed.server.signal("USR2");
    installed.server.log.find("no handover", |line| line.text("msg").starts_with("no handover"));
    installed.server.log.find_nth(2, "started", |line| line.text("msg") == "started");
    publisher.wait_for_end();
    assert!(viewer.frames_to_the_end().is_empty());
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 2));
    FlvViewer::open(&installed.server, "r").frames_until(&frames::keyframe(0, 2));
}
