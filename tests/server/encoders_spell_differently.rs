//! Encoders cut addresses and write commands in ways of their own: what has one meaning is understood, and what has none
//! does not end what runs.

use synctv_media::rtmp::amf0::{self, Value};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    process::Process,
    rtmp::raw::{FIRST_CHUNK_SIZE, RawRtmp, command, connect_command, message, publish_command},
    server::TestServer,
    tools,
};

const COMMAND: u8 = 20;
const COMMAND_AMF3: u8 = 17;

#[test]
fn keys_with_slashes_blanks_and_escapes() {
    let server = TestServer::start(&[]);
    for (at, (app, before, behind)) in [
        ("live", "/", ""),
        ("live", "", "/"),
        ("live", "", " "),
        ("live", " ", "\r\n"),
        ("live", "", "?token=a/b"),
        ("live", "%6c", ""),
        ("/live/", "", ""),
        ("live/_definst_", "", ""),
        ("", "", ""),
        ("", "live/", "?a=b"),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut peer, c2) = RawRtmp::greet(&server);
        let publish = publish_command(&format!("{before}room{at}{behind}"));
        peer.send(&[c2, connect_command(app), publish].concat());
        peer.wait_for_status("NetStream.Publish.Start");
        let prefix = if before == "%6c" { "l" } else { "" };
        server.wait_for_publisher(&format!("{prefix}room{at}"));
    }
}

#[test]
fn the_key_in_the_app() {
    let server = TestServer::start(&[]);
    for (app, key, room) in [
        ("live/a", "", "a"),
        ("live/b/", "", "b"),
        ("live/c?token=1", "", "c"),
        ("live/d?token=a", "b/c", "d"),
        ("live/e", "?token=a", "e"),
    ] {
        let (mut peer, c2) = RawRtmp::greet(&server);
        peer.send(&[c2, connect_command(app), publish_command(key)].concat());
        peer.wait_for_status("NetStream.Publish.Start");
        server.wait_for_publisher(room);
    }
}

#[test]
fn addresses_as_people_give_them_to_ffmpeg() {
    let server = TestServer::start(&[]);
    let file = tools::media_file(tools::Media::AudioVideo);
    for (program, name) in [(tools::ffmpeg as fn() -> _, "old"), (tools::new_ffmpeg, "new")] {
        for (at, address) in
            ["live/ROOM/", "/live/ROOM", "live//ROOM", "live/ROOM?token=a/b", "live?token=a/b/ROOM"]
                .into_iter()
                .enumerate()
        {
            let room = format!("{name}{at}");
            let url = format!("rtmp://{}/{}", server.rtmp, address.replace("ROOM", &room));
            let _push = tools::push(program(), file, &url);
            server.wait_for_publisher(&room);
            let _viewer = FlvViewer::open(&server, &room);
            let _play = Process::start(program().args(["-i", &url, "-t", "1", "-f", "null", "-"]));
            let protocol = |line: &synctv_testkit::log_book::LogLine| line.text("protocol");
            server
                .log
                .find("a player", |line| line.says("viewer connected", &room) && protocol(line) == "rtmp");
        }
    }
}

/// A command with bytes behind its last argument.
fn with_trailing(stream_id: u32, values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::write_all(values, &mut payload);
    payload.extend([0, 0, 9, 0xFF]);
    message(3, COMMAND, stream_id, 0, &payload, FIRST_CHUNK_SIZE)
}

#[test]
fn commands_with_something_behind_them_or_left_out() {
    let server = TestServer::start(&[]);
    let object = Value::object([("app", Value::text("live"))]);
    let connect = [Value::text("connect"), Value::Number(1.0), object];
    let mut cut = Vec::new();
    amf0::write_all(&connect, &mut cut);
    cut.truncate(cut.len() - 3);
    let room = |name: &str| {
        [Value::text("publish"), Value::Number(3.0), Value::Null, Value::text(name), Value::text("live")]
    };
    let [name, transaction, _, key, kind] = room("c");
    let create = [Value::text("createStream"), Value::Number(2.0)];
    for (room, commands) in [
        ("a", [with_trailing(0, &connect), with_trailing(0, &create), with_trailing(1, &room("a"))]),
        (
            "b",
            [message(3, COMMAND, 0, 0, &cut, FIRST_CHUNK_SIZE), command(0, &create), command(1, &room("b"))],
        ),
        ("c", [connect_command("live"), command(0, &create), command(1, &[name, transaction, key, kind])]),
    ] {
        let (mut peer, c2) = RawRtmp::greet(&server);
        peer.send(&[c2, commands.concat()].concat());
        peer.wait_for_status("NetStream.Publish.Start");
        server.wait_for_publisher(room);
    }
}

#[test]
fn commands_that_cannot_be_read_do_not_end_a_publish() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::publish(&server, "r");
    let amf3_argument = [&b"\x02\x00\x04note\x00\0\0\0\0\0\0\0\0\x05\x11\x0A\x0B\x01"[..]].concat();
    let unending = b"\x02\x00\x04note\x00\0\0\0\0\0\0\0\0\x03\x00\x01a\x05".to_vec();
    let keyframe = frames::keyframe(0, 0);
    for type_id in [COMMAND, COMMAND_AMF3] {
        for payload in [&amf3_argument[..], &unending, &[], &[0], &[0xFF; 30], b"\x02\xFF\xFFx"] {
            peer.send(&message(3, type_id, 1, 0, payload, FIRST_CHUNK_SIZE));
        }
    }
    for again in [publish_command("r"), publish_command("other"), connect_command("live")] {
        peer.send(&again);
        peer.wait_for_command("_error");
    }
    peer.send(&message(6, 9, 1, 0, &keyframe.payload, FIRST_CHUNK_SIZE));
    FlvViewer::open(&server, "r").frames_until(&keyframe);
    let is_warning = |line: &synctv_testkit::log_book::LogLine| line.text("msg").contains("cannot be read");
    server.log.find_only("one warning, however many frames there are", is_warning);
}

#[test]
fn an_encoder_that_waits_for_an_information_object() {
    let server = TestServer::start(&[]);
    let mut peer = RawRtmp::connect(&server);
    let call =
        |name: &str| command(0, &[Value::text(name), Value::Number(4.0), Value::Null, Value::text("r")]);
    for (name, answer, code) in [
        ("FCPublish", "onFCPublish", "NetStream.Publish.Start"),
        ("FCUnpublish", "onFCUnpublish", "NetStream.Unpublish.Success"),
    ] {
        peer.send(&call(name));
        let values = peer.wait_for_command(answer);
        assert_eq!(values[3].get("code"), Some(&Value::text(code)));
        assert!(values[3].get("description").is_some());
    }
}
