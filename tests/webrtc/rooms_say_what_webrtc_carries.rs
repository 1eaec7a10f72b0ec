//! The API says of a room that no one watches over WebRTC what its viewers would get there.

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    rtmp::RtmpPeer,
    server::TestServer,
    wait::poll_until,
    whep::{OFFER, SDP, post},
};

use crate::start;

fn frame(track: Track, timestamp_ms: u32, payload: &'static [u8]) -> Frame {
    Frame { track, timestamp_ms, payload: payload.into() }
}

/// Publishes frames behind a keyframe, and returns what the API says then.
fn published(server: &TestServer, room: &str, more: &[Frame]) -> (RtmpPeer, serde_json::Value) {
    let mut publisher = RtmpPeer::publish(server, room);
    publisher.send_all(&frames::video_headers());
    publisher.send_all(&[frames::keyframe(0, 0)]);
    publisher.send_all(more);
    publisher.send_all(&[frames::inter(200, 1)]);
    FlvViewer::open(server, room).frames_until(&frames::inter(200, 1));
    // The list may be half a second old, and without the room.
    let state = poll_until("the room in the list", || {
        let room = request(server.http, "GET", &format!("/api/v1/streams/{room}")).json();
        Some(room["details"]["webrtc"].clone()).filter(|state| !state.is_null())
    });
    (publisher, state)
}

#[test]
fn whether_it_plays_and_what_is_missing() {
    let server = start(&[]);
    let ahead = frame(Track::Video, 40, b"\x27\x01\0\0\x50\0\0\0\x02\x41p");
    let (_in_order, state) = published(&server, "in-order", &[]);
    assert_eq!(state, serde_json::json!({ "state": "ok", "reasons": [] }));
    let disposable = frame(Track::Video, 80, b"\x27\x01\0\0\0\0\0\0\x02\x01b");
    let (_b_frames, state) = published(&server, "b", &[ahead.clone(), disposable]);
    assert_eq!(
        (&state["state"], &state["reasons"][0]["code"]),
        (&"limited".into(), &"b_frames_dropped".into())
    );
    let mp3 = frame(Track::Audio, 40, b"\x2Fmp3");
    let (_mp3, state) = published(&server, "mp3", &[mp3]);
    assert_eq!((&state["state"], &state["reasons"][0]["code"]), (&"limited".into(), &"no_audio".into()));
    let reference = frame(Track::Video, 80, b"\x27\x01\0\0\0\0\0\0\x02\x41b");
    let (_references, state) = published(&server, "refused", &[ahead, reference]);
    assert_eq!((&state["state"], &state["reasons"][0]["code"]), (&"refused".into(), &"b_frames".into()));
    let refused = post(server.http, "/refused/whep", &[SDP], OFFER);
    assert_eq!((refused.status, &refused.json()["message"]), (422, &state["reasons"][0]["message"]));
}

#[test]
fn also_where_no_gop_is_kept() {
    let server = start(&["--enable-gop-cache", "false"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    let ahead = frame(Track::Video, 40, b"\x27\x01\0\0\x50\0\0\0\x02\x41p");
    let reference = frame(Track::Video, 80, b"\x27\x01\0\0\0\0\0\0\x02\x41b");
    publisher.send_all(&[frames::keyframe(0, 0), ahead, reference, frames::inter(200, 1)]);
    poll_until("the verdict", || {
        let room = request(server.http, "GET", "/api/v1/streams/r").json();
        (room["details"]["webrtc"]["state"] == "refused").then_some(())
    });
}
