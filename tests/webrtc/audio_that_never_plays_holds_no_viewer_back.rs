//! Audio of which no packet ever comes holds no viewer back: the video plays alone.

use synctv_testkit::{
    frames,
    http::request,
    rtmp::RtmpPeer,
    wait::poll_until,
    whep::{OFFER, SDP, post},
};

use crate::{start, viewer::Viewer};

/// Publishes a second of video and of AAC that no decoder takes.
fn publish_broken_second(publisher: &mut RtmpPeer, second: u32) {
    let start_ms = second * 1000;
    publisher.send_all(&[frames::keyframe(start_ms, second)]);
    for at in 0..60 {
        publisher.send_all(&[frames::audio(start_ms + at * 16, 0)]);
    }
}

#[test]
fn aac_that_cannot_be_decoded() {
    let server = start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "broken");
    publisher.send_all(&frames::headers());
    publish_broken_second(&mut publisher, 0);
    let mut first = Viewer::open(&server, "broken");
    poll_until("video", || (!first.take_video().is_empty()).then_some(()));
    // It is a viewer now, and the audio is decoded for it.
    publish_broken_second(&mut publisher, 1);
    publish_broken_second(&mut publisher, 2);
    server.log.find("the reason", |line| line.says("WebRTC viewers get no audio", "broken"));
    let mut second = Viewer::open(&server, "broken");
    poll_until("video for the second", || (!second.take_video().is_empty()).then_some(()));
    let state = poll_until("what viewers lack", || {
        let room = request(server.http, "GET", "/api/v1/streams/broken").json();
        Some(room["details"]["webrtc"].clone()).filter(|state| state["state"] == "limited")
    });
    assert_eq!(state["reasons"][0]["code"], "no_audio");
}

#[test]
fn aac_whose_frames_never_come() {
    let server = start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "announced");
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(33, 1)]);
    let answer = post(server.http, "/announced/whep", &[SDP], OFFER);
    assert_eq!(answer.status, 201, "{}", answer.text());
}
