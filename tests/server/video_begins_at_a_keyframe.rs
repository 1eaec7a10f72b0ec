//! After a change of publisher video waits for the first keyframe, because anything before it refers to what never came. A
//! stream that sends none is not waited for without end: viewers get its audio at once, and its video after a while.

use serde_json::Value;
use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    flv::{FlvViewer, coded},
    frames,
    http::request,
    rtmp::RtmpPeer,
    server::TestServer,
};

#[test]
fn also_for_those_who_stayed_when_a_publisher_returns_within_a_gop() {
    let server = TestServer::start(&[]);
    let mut first = RtmpPeer::publish(&server, "r");
    first.send_all(&frames::headers());
    first.send_all(&[frames::keyframe(0, 0), frames::audio(0, 1)]);
    let mut stayed = FlvViewer::open(&server, "r");
    stayed.frames_until(&frames::audio(0, 1));
    first.reset();
    server.wait_for_publisher_leaving("r");

    let mut second = RtmpPeer::publish(&server, "r");
    second.send_all(&frames::headers());
    second.send_all(&[frames::inter(5_000, 2), frames::audio(5_000, 3), frames::inter(5_040, 4)]);
    // The server has them, so that there is something to begin with.
    stayed.frames_until(&frames::audio(5_000, 3));
    let mut joined = FlvViewer::open(&server, "r");
    joined.next_frame().expect("it begins with what is there");
    let key = frames::keyframe(5_080, 5);
    second.send_all(&[frames::audio(5_060, 6), key.clone()]);
    for viewer in [&mut stayed, &mut joined] {
        let seen = viewer.frames_until(&key);
        let video = coded(&seen, Track::Video);
        assert_eq!((video.len(), &video[0].payload), (1, &key.payload));
        let audio = frames::payloads(&coded(&seen, Track::Audio));
        assert!(audio.contains(&frames::audio(5_060, 6).payload), "audio goes on meanwhile");
    }
    let dropped =
        server.log.find("what was dropped", |line| line.text("msg").contains("first keyframe dropped"));
    assert_eq!(dropped.number("dropped_frames"), 2);
}

/// A frame of video and one of audio each 40 ms, from one time to another.
fn media(from_ms: u32, to_ms: u32) -> Vec<Frame> {
    let at = (from_ms..to_ms).step_by(40);
    at.flat_map(|at| [frames::sized_inter(at, at, 20_000), frames::audio(at, at + 1)]).collect()
}

/// Asks the API until it says whether the stream lacks keyframes; answers may be half a second old.
fn wait_for_api(server: &TestServer, lacks_keyframes: bool) {
    let mut answers = (0..5_000).map(|_| request(server.http, "GET", "/api/v1/streams/r").text());
    let says_so = |body: String| {
        let stream: Value = serde_json::from_str(&body).expect("the API answers in JSON");
        stream["details"]["video"]["lacks_keyframes"] == lacks_keyframes
    };
    assert!(answers.any(says_so), "lacks_keyframes never is {lacks_keyframes}");
}

#[test]
fn unless_none_comes_for_too_long() {
    let flags = ["--max-gop-cache-size-mb", "1", "--keyframe-wait-s", "5", "--viewer-queue-mb", "64"];
    let server = TestServer::start(&flags);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::audio(0, 1)]);
    let mut witness = FlvViewer::open(&server, "r");
    let send = |publisher: &mut RtmpPeer, witness: &mut FlvViewer, frames: Vec<Frame>| {
        publisher.send_all(&frames);
        witness.frames_until(&frames[frames.len() - 2]);
    };
    send(&mut publisher, &mut witness, media(40, 3_000));
    server.log.find("the warning", |line| line.text("msg").contains("larger than the cache"));
    wait_for_api(&server, false);

    let mut early = FlvViewer::open(&server, "r");
    let first = early.next_media().expect("it begins with what is there");
    send(&mut publisher, &mut witness, media(3_000, 4_000));
    assert_eq!(early.tracks(), (true, true));
    assert!(frames::is_sequence_header(&first));
    let seen = early.frames_until(&frames::audio(3_960, 3_961));
    assert!(coded(&seen, Track::Video).is_empty(), "its video waits");
    assert!(!coded(&seen, Track::Audio).is_empty(), "its audio does not");

    send(&mut publisher, &mut witness, media(4_000, 5_200));
    let seen = early.frames_until(&frames::sized_inter(5_160, 5_160, 20_000));
    assert_eq!(coded(&seen, Track::Video)[0].timestamp_ms, 5_000);
    server.log.find("the warning", |line| line.text("msg").contains("start without one"));
    wait_for_api(&server, true);
    let mut late = FlvViewer::open(&server, "r");
    let last = frames::keyframe(5_200, 9);
    publisher.send(&last);
    let seen = coded(&late.frames_until(&last), Track::Video);
    assert!(seen[0].timestamp_ms >= 5_000);
    publisher.send(&frames::sized_inter(5_240, 5_240, 20_000));
    late.frames_until(&frames::sized_inter(5_240, 5_240, 20_000));
}
