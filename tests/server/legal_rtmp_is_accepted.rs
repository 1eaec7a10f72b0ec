//! The variations of real encoders that the specification allows work: each on its own, seen from the viewer's side.

use bytes::Bytes;
use synctv_media::{
    rtmp::amf0::Value,
    samples,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    rtmp::raw::{
        FIRST_CHUNK_SIZE, PING_REQUEST, PING_RESPONSE, RawRtmp, SET_CHUNK_SIZE, USER_CONTROL, c0_and_c1,
        command, connect_command, message, publish_command,
    },
    server::TestServer,
};

const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
const ACKNOWLEDGEMENT: u8 = 3;

fn create_stream() -> Vec<u8> {
    command(0, &[Value::text("createStream"), Value::Number(2.0), Value::Null])
}

fn call(name: &str, transaction: f64) -> Vec<u8> {
    let room = Value::text("r");
    command(0, &[Value::text(name), Value::Number(transaction), Value::Null, room])
}

/// A media message of a frame in chunks of 128 bytes.
fn media(csid: u32, frame: &Frame) -> Vec<u8> {
    message(csid, frame.track.type_id(), 1, frame.timestamp_ms, &frame.payload, FIRST_CHUNK_SIZE)
}

/// The frames that a viewer sees of `sent`, bytes on a publisher's connection, up to `last`.
fn seen(sent: &[u8], last: &Frame) -> Vec<Frame> {
    let server = TestServer::start(&[]);
    let mut publisher = RawRtmp::publish(&server, "r");
    let mut viewer = FlvViewer::open(&server, "r");
    publisher.send(sent);
    viewer.frames_until(last)
}

fn times(frames: &[Frame]) -> Vec<u32> {
    frames.iter().map(|frame| frame.timestamp_ms).collect()
}

#[test]
fn a_handshake_in_pieces_with_connect_right_behind_it() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::dial(&server);
    let hello = c0_and_c1();
    for piece in [&hello[..1], &hello[1..5], &hello[5..1000], &hello[1000..]] {
        peer.send(piece);
    }
    let c2 = peer.read_handshake();
    let behind = [connect_command("live"), create_stream(), publish_command("r")].concat();
    peer.send(&[c2, behind].concat());
    peer.wait_for_status("NetStream.Publish.Start");
}

#[test]
fn every_byte_on_its_own() {
    let server = TestServer::start(&[]);
    let (mut peer, c2) = RawRtmp::greet(&server);
    peer.send(&c2);
    let all = [connect_command("live"), create_stream(), publish_command("r")].concat();
    for byte in &all {
        peer.send(&[*byte]);
    }
    peer.wait_for_status("NetStream.Publish.Start");
    for byte in media(6, &frames::keyframe(0, 0)) {
        peer.send(&[byte]);
    }
    FlvViewer::open(&server, "r").frames_until(&frames::keyframe(0, 0));
}

#[test]
fn commands_of_encoders_before_and_between_the_necessary_ones() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::connect(&server);
    let commands = [
        call("releaseStream", 2.0),
        call("FCPublish", 3.0),
        call("_checkbw", 4.0),
        create_stream(),
        call("getStreamLength", 6.0),
        call("somethingNew", 7.0),
        publish_command("r"),
        call("_checkbw", 8.0),
    ];
    peer.send(&commands.concat());
    peer.wait_for_command("onFCPublish");
    peer.wait_for_status("NetStream.Publish.Start");
    peer.send(&media(6, &frames::keyframe(0, 0)));
    FlvViewer::open(&server, "r").frames_until(&frames::keyframe(0, 0));
}

#[test]
fn undefined_and_strange_values_in_connect() {
    let server = TestServer::start(&[]);
    let (mut peer, c2) = RawRtmp::greet(&server);
    let information = Value::object([
        ("swfUrl", Value::Undefined),
        ("app", Value::text("live")),
        ("pageUrl", Value::Null),
        ("objectEncoding", Value::Number(0.0)),
    ]);
    let connect = command(0, &[Value::text("connect"), Value::Number(1.0), information, Value::Undefined]);
    peer.send(&[c2, connect].concat());
    peer.wait_for_command("_result");
}

#[test]
fn queries_behind_app_and_stream_name() {
    let server = TestServer::start(&[]);
    for (at, app) in ["live?token=1", "live/", "live/?a=b/c"].into_iter().enumerate() {
        let (mut peer, c2) = RawRtmp::greet(&server);
        let publish = publish_command(&format!("room_{at}?key=value&other=1"));
        peer.send(&[c2, connect_command(app), create_stream(), publish].concat());
        peer.wait_for_status("NetStream.Publish.Start");
        server.wait_for_publisher(&format!("room_{at}"));
    }
}

#[test]
fn chunks_of_audio_between_those_of_a_video_frame() {
    let video = frames::sized_keyframe(0, 1, 300);
    let audio = frames::audio(5, 2);
    let chunks = media(6, &video);
    // Full header, 128 bytes; then one byte of header before each 128.
    let (first, rest) = chunks.split_at(12 + 128);
    let (second, third) = rest.split_at(1 + 128);
    let last = frames::inter(40, 3);
    let audio_chunks = media(4, &audio);
    let bytes = [first, &audio_chunks, second, &media(5, &metadata()), third, &media(6, &last)].concat();
    let seen = seen(&bytes, &last);
    assert_eq!(count(&seen, &video.payload), 1);
    assert_eq!(count(&seen, &last.payload), 1);
}

fn metadata() -> Frame {
    samples::metadata(true, false)
}

fn count(frames: &[Frame], payload: &Bytes) -> usize {
    frames.iter().filter(|frame| frame.payload == *payload).count()
}

#[test]
fn chunk_streams_with_long_numbers() {
    let sent =
        [frames::sized_keyframe(0, 1, 400), frames::sized_inter(40, 2, 400), frames::sized_inter(80, 3, 400)];
    let bytes = [media(64, &sent[0]), media(319, &sent[1]), media(65_599, &sent[2])].concat();
    assert_eq!(seen(&bytes, &sent[2]), sent);
}

#[test]
fn chunk_sizes_that_change_at_any_time() {
    let sent = [
        frames::sized_keyframe(0, 1, 5000),
        frames::sized_inter(40, 2, 5000),
        frames::sized_inter(80, 3, 5000),
    ];
    let mut bytes = Vec::new();
    let mut current = FIRST_CHUNK_SIZE;
    for (frame, size) in sent.iter().zip([4096_u32, 1, 65_536]) {
        bytes.extend(message(2, SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes(), current));
        current = size as usize;
        bytes.extend(message(6, 9, 1, frame.timestamp_ms, &frame.payload, current));
    }
    assert_eq!(seen(&bytes, &sent[2]), sent);
}

#[test]
fn headers_that_leave_out_what_is_as_before() {
    let payload = |number| frames::inter(0, number).payload;
    let mut bytes = media(6, &frames::keyframe(1000, 0));
    // Type 1: a delta of 40, the length and type anew.
    bytes.extend([0x46, 0, 0, 40, 0, 0, 100, 9]);
    bytes.extend(payload(1));
    // Type 2: a delta of 20.
    bytes.extend([0x86, 0, 0, 20]);
    bytes.extend(payload(2));
    // Type 3: a new message, all as before, the delta too.
    bytes.push(0xC6);
    bytes.extend(payload(3));
    let seen = seen(&bytes, &frames::inter(0, 3));
    assert_eq!(times(&seen), [1000, 1040, 1060, 1080]);
}

#[test]
fn timestamps_that_need_the_extended_field() {
    let sent = [
        frames::sized_keyframe(0xFF_FFFE, 1, 300),
        frames::sized_inter(0xFF_FFFF, 2, 300),
        frames::sized_inter(0x100_0020, 3, 300),
    ];
    let bytes: Vec<u8> = sent.iter().flat_map(|frame| media(6, frame)).collect();
    let seen = seen(&bytes, &sent[2]);
    assert_eq!(frames::payloads(&seen), frames::payloads(&sent));
    let since_first = |all: &[Frame]| -> Vec<u32> {
        all.iter().map(|frame| frame.timestamp_ms - all[0].timestamp_ms).collect()
    };
    assert_eq!(since_first(&seen), since_first(&sent));
}

#[test]
fn metadata_in_the_envelope_for_servers_and_without() {
    let mut envelope = b"\x02\x00\x0d@setDataFrame".to_vec();
    envelope.extend(&metadata().payload);
    let last = frames::keyframe(0, 1);
    for payload in [envelope, metadata().payload.to_vec()] {
        let data = message(5, 18, 1, 0, &payload, FIRST_CHUNK_SIZE);
        let seen = seen(&[data, media(6, &last)].concat(), &last);
        assert_eq!(frames::payloads(&seen), [metadata().payload, last.payload.clone()]);
    }
}

#[test]
fn empty_messages_are_no_frames() {
    let last = frames::keyframe(0, 1);
    let empty = |type_id| message(4, type_id, 1, 0, &[], FIRST_CHUNK_SIZE);
    let bytes = [empty(8), empty(9), empty(18), media(6, &last), empty(8)].concat();
    assert_eq!(seen(&bytes, &last), [last]);
}

#[test]
fn an_acknowledgement_is_sent_for_every_small_window() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::publish(&server, "r");
    peer.send(&message(2, WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &1000_u32.to_be_bytes(), FIRST_CHUNK_SIZE));
    let mut acknowledged = 0;
    for number in 1..4 {
        peer.send(&media(6, &frames::sized_keyframe(number * 40, number, 2000)));
        let payload = peer.wait_for_message(ACKNOWLEDGEMENT);
        let total = u32::from_be_bytes(payload[..4].try_into().expect("four bytes"));
        assert!(total > acknowledged, "{total} after {acknowledged}");
        acknowledged = total;
    }
    assert!(acknowledged > 4000);
}

#[test]
fn a_ping_is_answered() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::connect(&server);
    let ping = [PING_REQUEST.as_slice(), &77_u32.to_be_bytes()].concat();
    peer.send(&message(2, USER_CONTROL, 0, 0, &ping, FIRST_CHUNK_SIZE));
    let pong = [PING_RESPONSE.as_slice(), &77_u32.to_be_bytes()].concat();
    assert_eq!(peer.wait_for_message(USER_CONTROL), pong);
}

#[test]
fn an_aggregate_is_the_frames_in_it() {
    let sent = [frames::keyframe(500, 1), frames::inter(540, 2)];
    let mut payload = Vec::new();
    for frame in &sent {
        // The times in it count from any start.
        let inner_ms = i64::from(frame.timestamp_ms) + 10_000;
        synctv_media::flv::put_tag(&mut payload, Track::Video, inner_ms, &frame.payload);
    }
    let bytes = message(6, 22, 1, 500, &payload, FIRST_CHUNK_SIZE);
    assert_eq!(seen(&bytes, &sent[1]), sent);
}
