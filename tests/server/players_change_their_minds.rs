//! A player may stop, pause, seek, and play another room, on one connection: what it gets next always begins with headers
//! and a keyframe, and every command is answered.

use synctv_media::{
    rtmp::amf0::Value,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    frames,
    rtmp::{
        RtmpPeer,
        raw::{RawRtmp, command},
    },
    server::TestServer,
};

const COMMAND: u8 = 20;

fn call(name: &str, arguments: &[Value]) -> Vec<u8> {
    let begin = [Value::text(name), Value::Number(0.0), Value::Null];
    command(1, &[&begin, arguments].concat())
}

fn play(room: &str) -> Vec<u8> {
    call("play", &[Value::text(room)])
}

/// A publisher of `room` whose last keyframe is number 0, and whose next frames need it.
fn publisher(server: &TestServer, room: &str) -> RtmpPeer {
    let mut publisher = RtmpPeer::publish(server, room);
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    publisher
}

fn player(server: &TestServer, room: &str) -> RawRtmp {
    let mut player = RawRtmp::connect(server);
    player.send(&play(room));
    player.wait_for_status("NetStream.Play.Start");
    player
}

/// The next audio or video frame.
fn next_frame(player: &mut RawRtmp) -> Frame {
    loop {
        let message = player.next_message().expect("the connection stays");
        let Some(track) = Track::from_type_id(message.type_id) else { continue };
        let frame = Frame { track, timestamp_ms: message.timestamp_ms, payload: message.payload };
        if track != Track::Data {
            return frame;
        }
    }
}

/// Asserts that a player begins with the video header and then a keyframe. Returns the keyframe.
fn assert_begins(player: &mut RawRtmp) -> Frame {
    let (header, keyframe) = (next_frame(player), next_frame(player));
    assert!(
        frames::is_sequence_header(&header) && frames::is_keyframe(&keyframe),
        "{header:?}, {keyframe:?}"
    );
    keyframe
}

fn frames_until(player: &mut RawRtmp, last: &Frame) {
    while next_frame(player).payload != last.payload {}
}

#[test]
fn a_second_play_begins_like_the_first() {
    let server = TestServer::start(&[]);
    let mut publisher = publisher(&server, "r");
    for stop in ["closeStream", "deleteStream"] {
        let mut player = player(&server, "r");
        for number in 1..6 {
            assert_begins(&mut player);
            publisher.send(&frames::inter(40 * number, number));
            frames_until(&mut player, &frames::inter(0, number));
            player.send(&[call(stop, &[Value::Number(1.0)]), play("r")].concat());
            player.wait_for_status("NetStream.Play.Start");
        }
    }
}

#[test]
fn a_play_while_playing_changes_the_room() {
    let server = TestServer::start(&[]);
    let mut first = publisher(&server, "first");
    let mut second = RtmpPeer::publish(&server, "second");
    second.send_all(&frames::video_headers());
    second.send(&frames::keyframe(0, 100));
    let mut player = player(&server, "first");
    assert_begins(&mut player);
    for number in 1..20 {
        first.send(&frames::inter(40 * number, number));
        if number == 5 {
            player.send(&play("second"));
        }
    }
    player.wait_for_status("NetStream.Play.Start");
    assert_eq!(assert_begins(&mut player).payload, frames::keyframe(0, 100).payload);
    first.send(&frames::inter(4000, 50));
    second.send(&frames::inter(40, 101));
    assert_eq!(next_frame(&mut player).payload, frames::inter(0, 101).payload, "nothing more of the first");
}

#[test]
fn a_play_of_a_room_that_is_not_live_does_not_end_the_connection() {
    let server = TestServer::start(&[]);
    let _publisher = publisher(&server, "r");
    let mut player = player(&server, "r");
    assert_begins(&mut player);
    player.send(&play("a/b"));
    player.wait_for_status("NetStream.Play.StreamNotFound");
    player.send(&play("absent"));
    player.wait_for_status("NetStream.Play.StreamNotFound");
    player.send(&play("r"));
    player.wait_for_status("NetStream.Play.Start");
    assert_begins(&mut player);
}

#[test]
fn a_pause_stops_the_media_and_its_end_begins_anew() {
    let server = TestServer::start(&[]);
    let mut publisher = publisher(&server, "r");
    let mut player = player(&server, "r");
    assert_begins(&mut player);
    let pause = |is_pause| call("pause", &[Value::Boolean(is_pause), Value::Number(0.0)]);
    player.send(&pause(true));
    player.wait_for_status("NetStream.Pause.Notify");
    for number in 1..10 {
        publisher.send(&frames::inter(40 * number, number));
    }
    publisher.send_all(&[frames::keyframe(400, 10), frames::inter(440, 11)]);
    // They are on their way through the stream when this is answered, or were.
    player.send(&call("getStreamLength", &[]));
    player.send(&pause(false));
    let before = messages_until_status(&mut player, "NetStream.Unpause.Notify");
    assert!(before.iter().all(|type_id| Track::from_type_id(*type_id).is_none()), "{before:?}");
    assert_begins(&mut player);
    frames_until(&mut player, &frames::inter(0, 11));
}

/// The types of the messages before an onStatus of this code.
fn messages_until_status(player: &mut RawRtmp, code: &str) -> Vec<u8> {
    let mut types = Vec::new();
    loop {
        let message = player.next_message().expect("the connection stays");
        if message.type_id == COMMAND {
            let values = synctv_media::rtmp::amf0::read_all(&message.payload).expect("commands are AMF0");
            if values.last().and_then(|information| information.get("code")) == Some(&Value::text(code)) {
                return types;
            }
        }
        types.push(message.type_id);
    }
}

#[test]
fn a_seek_is_answered_and_changes_nothing() {
    let server = TestServer::start(&[]);
    let mut publisher = publisher(&server, "r");
    let mut player = player(&server, "r");
    assert_begins(&mut player);
    player.send(&call("seek", &[Value::Number(5000.0)]));
    player.wait_for_status("NetStream.Seek.Notify");
    publisher.send(&frames::inter(40, 1));
    assert_eq!(next_frame(&mut player).payload, frames::inter(0, 1).payload);
}

#[test]
fn a_player_may_become_a_publisher() {
    let server = TestServer::start(&[]);
    let _publisher = publisher(&server, "r");
    let mut peer = player(&server, "r");
    assert_begins(&mut peer);
    peer.send(&call("closeStream", &[]));
    peer.send(&call("publish", &[Value::text("other"), Value::text("live")]));
    peer.wait_for_status("NetStream.Publish.Start");
    server.wait_for_publisher("other");
}
