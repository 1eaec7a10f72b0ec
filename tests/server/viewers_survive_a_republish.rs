//! A publisher that comes back within the grace finds its viewers where it left them: they go on with the new headers,
//! and no time that they see goes back. After the grace they see the end.

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{flv::FlvViewer, frames, http::request, rtmp::RtmpPeer, server::TestServer};

/// What a publisher's second life begins with: its clock starts over, its headers differ.
fn second_life() -> [Frame; 5] {
    [
        frames::video_header(0x28),
        frames::frame(Track::Audio, 0, b"\xaf\x00\x11\x90".as_slice()),
        frames::keyframe(0, 1000),
        frames::audio(10, 1001),
        frames::inter(40, 1002),
    ]
}

fn first_life() -> Vec<Frame> {
    let media = [
        frames::keyframe(60_000, 0),
        frames::audio(60_010, 1),
        frames::inter(60_040, 2),
        frames::audio(60_033, 3),
    ];
    [frames::headers().as_slice(), &media].concat()
}

/// One viewer of each protocol watches while the publisher goes as `leave` says and comes back.
fn survive(leave: impl FnOnce(RtmpPeer)) {
    let server = TestServer::start(&[]);
    let mut first = RtmpPeer::publish(&server, "r");
    let sent = first_life();
    first.send_all(&sent);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    let last = sent.last().expect("something is sent");
    let mut seen = viewer.frames_until(last);
    let mut played = play_until(&mut player, last);
    leave(first);
    server.wait_for_publisher_leaving("r");

    let mut second = RtmpPeer::publish(&server, "r");
    let sent = second_life();
    second.send_all(&sent);
    let last = sent.last().expect("something is sent");
    let (more, more_played) = (viewer.frames_until(last), play_until(&mut player, last));
    let expected = frames::payloads(&sent);
    assert_eq!(frames::payloads(&more), expected, "HTTP-FLV");
    assert_eq!(frames::payloads(&more_played), expected, "RTMP");
    seen.extend(more);
    played.extend(more_played);
    frames::assert_never_back(&seen);
    frames::assert_never_back(&played);

    let mut late = FlvViewer::open(&server, "r");
    let begin = late.frames_until(last);
    assert_eq!(frames::payloads(&begin), expected, "nothing of the first publication is left");
}

fn play_until(player: &mut RtmpPeer, last: &Frame) -> Vec<Frame> {
    let mut played: Vec<Frame> = Vec::new();
    while played.last().is_none_or(|frame| frame.payload != last.payload) {
        played.push(player.next_frame().expect("the stream goes on"));
    }
    played
}

#[test]
fn after_a_reset() {
    survive(RtmpPeer::reset);
}

#[test]
fn after_a_close_without_a_word() {
    survive(drop);
}

#[test]
fn after_an_unpublish() {
    survive(RtmpPeer::unpublish);
}

#[test]
fn many_times() {
    let server = TestServer::start(&[]);
    let mut seen = Vec::new();
    let mut viewer = None;
    for publication in 0..5 {
        let mut publisher = RtmpPeer::publish(&server, "r");
        let viewer = viewer.get_or_insert_with(|| FlvViewer::open(&server, "r"));
        // Each begins somewhere else, near where the 32 bits end too.
        let start_ms = [1_000_000, 0, u32::MAX - 20, 5, u32::MAX][publication];
        let last = frames::inter(start_ms.wrapping_add(40), publication as u32);
        publisher.send_all(&[
            frames::video_header(publication as u8),
            frames::keyframe(start_ms, publication as u32),
        ]);
        publisher.send(&last);
        seen.extend(viewer.frames_until(&last));
        publisher.reset();
        server.log.find_nth(publication + 1, "publisher disconnected", |line| {
            line.says("publisher disconnected", "r")
        });
    }
    frames::assert_never_back(&seen);
    assert_eq!(seen.iter().filter(|frame| frames::is_sequence_header(frame)).count(), 5);
}

#[test]
fn times_go_on_where_32_bits_end() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let times_ms = [u32::MAX - 60, u32::MAX - 20, 19, 59, 99];
    let sent: Vec<Frame> = times_ms.iter().map(|ms| frames::keyframe(*ms, *ms)).collect();
    publisher.send_all(&sent);
    let mut viewer = FlvViewer::open(&server, "r");
    // Only the newest are kept for it.
    let seen = viewer.frames_until(&sent[4]);
    assert!(seen.iter().all(|frame| times_ms.contains(&frame.timestamp_ms)), "{seen:?}");
    frames::assert_never_back(&seen);
}

#[test]
fn the_grace_over_viewers_see_the_end() {
    let server = TestServer::start(&["--publisher-grace-s", "1"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let sent = first_life();
    publisher.send_all(&sent);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    viewer.frames_until(&sent[6]);
    play_until(&mut player, &sent[6]);
    publisher.reset();
    assert_eq!(viewer.next_frame(), None);
    player.wait_for_status("NetStream.Play.Stop");
    player.wait_for_end();
    for protocol in ["http-flv", "rtmp"] {
        let left = server.wait_for_viewer_leaving("r", protocol);
        assert_eq!(left.text("why"), "the publisher left", "{protocol}");
    }
    server.log.find("stream ended", |line| line.says("stream ended", "r"));
    assert_eq!(request(server.http, "GET", "/r.flv").status, 404);
    let mut again = RtmpPeer::publish(&server, "r");
    again.send_all(&sent);
    FlvViewer::open(&server, "r").frames_until(&sent[6]);
}

#[test]
fn a_viewer_who_comes_within_the_grace_waits_for_the_next_life() {
    let server = TestServer::start(&[]);
    let mut first = RtmpPeer::publish(&server, "r");
    first.send_all(&first_life());
    first.unpublish();
    server.wait_for_publisher_leaving("r");
    let mut viewer = FlvViewer::open(&server, "r");
    let mut second = RtmpPeer::publish(&server, "r");
    let sent = second_life();
    second.send_all(&sent);
    let seen = viewer.frames_until(&sent[4]);
    assert_eq!(frames::payloads(&seen), frames::payloads(&sent));
}

#[test]
fn one_connection_may_publish_again_after_an_unpublish() {
    use synctv_media::rtmp::amf0::Value;
    use synctv_testkit::rtmp::raw::{RawRtmp, command, publish_command};
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::publish(&server, "first");
    let name = Value::text("first");
    peer.send(&command(0, &[Value::text("FCUnpublish"), Value::Number(4.0), Value::Null, name]));
    server.wait_for_publisher_leaving("first");
    peer.send(&publish_command("second"));
    peer.wait_for_status("NetStream.Publish.Start");
    server.wait_for_publisher("second");
    let _other = RtmpPeer::publish(&server, "first");
}
