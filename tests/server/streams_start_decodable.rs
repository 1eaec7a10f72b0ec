//! Whenever a viewer comes, it gets what its decoder needs first: the FLV header says what the stream has, then
//! metadata and sequence headers, then a frame at which decoding can start.

use bytes::Bytes;
use synctv_media::{
    samples,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{flv::FlvViewer, frames, rtmp::RtmpPeer, server::TestServer};

#[test]
fn audio_and_video() {
    let sent = [
        samples::metadata(true, true),
        frames::video_header(0x1f),
        samples::audio_header(),
        frames::keyframe(0, 0),
        frames::audio(10, 1),
        frames::inter(40, 2),
    ];
    starts_with(&sent, (true, true));
}

#[test]
fn video_without_audio() {
    let sent = [
        samples::metadata(true, false),
        frames::video_header(0x1f),
        frames::keyframe(0, 0),
        frames::inter(40, 1),
    ];
    starts_with(&sent, (false, true));
}

#[test]
fn audio_without_video() {
    let sent =
        [samples::metadata(false, true), samples::audio_header(), frames::audio(0, 0), frames::audio(23, 1)];
    starts_with(&sent, (true, false));
}

#[test]
fn a_publisher_that_announces_nothing() {
    let sent = [
        frames::video_header(0x1f),
        samples::audio_header(),
        frames::keyframe(0, 0),
        frames::audio(10, 1),
        frames::inter(40, 2),
    ];
    starts_with(&sent, (true, true));
}

#[test]
fn headers_that_change_take_effect_for_later_viewers() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut first = FlvViewer::open(&server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 1)]);
    let mut all = first.frames_until(&frames::keyframe(0, 1));
    let last = frames::keyframe(2000, 2);
    publisher.send_all(&[frames::video_header(2), last.clone()]);
    all.extend(first.frames_until(&last));
    let header = |level| frames::video_header(level).payload;
    let expected = [header(1), frames::keyframe(0, 1).payload, header(2), last.payload.clone()];
    assert_eq!(frames::payloads(&all), expected);
    let mut late = FlvViewer::open(&server, "r");
    let begin = frames::payloads(&late.frames_until(&last));
    assert_eq!(begin, [header(2), last.payload]);
}

/// Viewers get `sent` as it is, whether they come before it or after it.
fn starts_with(sent: &[Frame], tracks: (bool, bool)) {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let early = FlvViewer::open(&server, "r");
    publisher.send_all(sent);
    assert_starts(early, sent, tracks);
    assert_starts(FlvViewer::open(&server, "r"), sent, tracks);
    assert_starts(FlvViewer::open(&server, "r"), sent, tracks);
    assert_eq!(played(&server, sent), frames::payloads(sent), "RTMP");
}

fn assert_starts(mut viewer: FlvViewer, sent: &[Frame], tracks: (bool, bool)) {
    let last = sent.last().expect("something is sent");
    let seen = viewer.frames_until(last);
    assert_eq!(frames::payloads(&seen), frames::payloads(sent));
    assert_eq!(viewer.tracks(), tracks);
    assert!(seen.iter().zip(sent).all(|(seen, sent)| seen.track == sent.track));
    let first = seen.iter().find(|frame| frames::is_coded(frame));
    assert!(first.is_some_and(|frame| frame.track == Track::Audio || frames::is_keyframe(frame)));
}

fn played(server: &TestServer, sent: &[Frame]) -> Vec<Bytes> {
    let mut player = RtmpPeer::play(server, "r");
    let frames: Vec<Frame> = (0..sent.len()).filter_map(|_| player.next_frame()).collect();
    frames::payloads(&frames)
}
