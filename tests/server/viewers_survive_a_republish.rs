//! A publisher that comes back within the grace finds its viewers where it left them: they go on with the new headers,
//! and no time that they see goes back. After the grace they see the end.

use synctv_media::{
    rtmp::amf0::Value,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    room_history::RoomHistory,
    rtmp::{
        RtmpPeer,
        raw::{RawRtmp, command, publish_command},
    },
    server::TestServer,
};

/// The frames of the first publisher.
fn first_publication() -> Vec<Frame> {
    let media = [
        frames::keyframe(60_000, 0),
        frames::audio(60_010, 1),
        frames::inter(60_040, 2),
        frames::audio(60_033, 3),
    ];
    [frames::headers().as_slice(), &media].concat()
}

/// The frames of the publisher that came back: its clock starts over, its headers differ.
fn second_publication() -> Vec<Frame> {
    vec![
        frames::video_header(0x28),
        frames::frame(Track::Audio, 0, b"\xaf\x00\x11\x90".as_slice()),
        frames::keyframe(0, 1000),
        frames::audio(10, 1001),
        frames::inter(40, 1002),
    ]
}

/// One viewer of each protocol watches while the publisher leaves as `leave` does and comes back.
fn survive(leave: impl FnOnce(RtmpPeer)) {
    let server = TestServer::start(&[]);
    let publications = [first_publication(), second_publication()];
    let mut first = RtmpPeer::publish(&server, "r");
    first.send_all(&publications[0]);
    let mut viewer = RoomHistory::of(FlvViewer::open(&server, "r"));
    let mut player = RoomHistory::of(RtmpPeer::play(&server, "r"));
    viewer.read_to_end_of(&publications[0]);
    player.read_to_end_of(&publications[0]);
    leave(first);
    server.wait_for_publisher_leaving("r");

    let mut second = RtmpPeer::publish(&server, "r");
    second.send_all(&publications[1]);
    viewer.read_to_end_of(&publications[1]);
    player.read_to_end_of(&publications[1]);
    viewer.assert_is(&publications);
    player.assert_is(&publications);

    let mut late = RoomHistory::of(FlvViewer::open(&server, "r"));
    late.read_to_end_of(&publications[1]);
    late.assert_is(&publications[1..]);
}

#[test]
fn after_a_reset() {
    survive(RtmpPeer::reset);
}

#[test]
fn after_a_close() {
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
    for number in 0..5_u32 {
        let mut publisher = RtmpPeer::publish(&server, "r");
        let viewer = viewer.get_or_insert_with(|| FlvViewer::open(&server, "r"));
        // Each begins somewhere else, near where the 32 bits end too.
        let start_ms = [1_000_000, 0, u32::MAX - 20, 5, u32::MAX][number as usize];
        let last = frames::inter(start_ms.wrapping_add(40), number);
        publisher.send_all(&[frames::video_header(number as u8), frames::keyframe(start_ms, number)]);
        publisher.send(&last);
        seen.extend(viewer.frames_until(&last));
        publisher.reset();
        server.log.find_nth(number as usize + 1, "publisher disconnected", |line| {
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
    let mut viewer = FlvViewer::open(&server, "r");
    publisher.send_all(&sent);
    let seen = viewer.frames_until(&sent[4]);
    let steps: Vec<u32> = seen.windows(2).map(|two| two[1].timestamp_ms - two[0].timestamp_ms).collect();
    assert_eq!(steps, [40; 4]);
}

#[test]
fn viewers_see_the_end_when_the_grace_is_over() {
    let server = TestServer::start(&["--publisher-grace-s", "1"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let sent = first_publication();
    publisher.send_all(&sent);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    viewer.frames_until(&sent[6]);
    player.frames_until(&sent[6]);
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
fn a_viewer_who_comes_within_the_grace_waits_for_the_next_publication() {
    let server = TestServer::start(&[]);
    let mut first = RtmpPeer::publish(&server, "r");
    first.send_all(&first_publication());
    first.unpublish();
    server.wait_for_publisher_leaving("r");
    let mut viewer = FlvViewer::open(&server, "r");
    let mut second = RtmpPeer::publish(&server, "r");
    let sent = second_publication();
    second.send_all(&sent);
    let seen = viewer.frames_until(&sent[4]);
    assert_eq!(frames::payloads(&seen), frames::payloads(&sent));
}

#[test]
fn one_connection_may_publish_again_after_an_unpublish() {
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
