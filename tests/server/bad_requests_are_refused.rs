//! A request that cannot be served is refused with a reason that its user can act upon.

use synctv_media::rtmp::client::Client;
use synctv_testkit::{
    rtmp::{Refused, RtmpPeer},
    server::TestServer,
    socket::dial,
    tools,
};

fn refused(server: &TestServer, client: Client) -> Refused {
    RtmpPeer::start(dial(server.rtmp), client).expect_err("it is refused")
}

#[test]
fn another_app_is_named_in_the_refusal() {
    let server = TestServer::start(&[]);
    for (client, code) in [
        (Client::publisher("studio", "r"), "NetStream.Publish.Denied"),
        (Client::player("studio", "r"), "NetStream.Play.StreamNotFound"),
    ] {
        let refused = refused(&server, client);
        assert_eq!(refused.code, code);
        assert!(
            refused.description.contains("studio") && refused.description.contains("/live/"),
            "{refused:?}"
        );
    }
    let closed = server.log.find("the reason", |line| line.text("msg") == "RTMP connection closed");
    assert!(closed.text("why").contains("studio"));
}

#[test]
fn ffmpeg_shows_what_is_wrong_with_the_address() {
    let server = TestServer::start(&[]);
    let file = tools::media_file(tools::Media::AudioVideo);
    for program in [tools::ffmpeg, tools::new_ffmpeg] {
        for (address, reason) in [
            ("studio/r", "the app \"studio\" is not served here, only \"live\""),
            ("r", "the app \"r\" is not served here"),
            ("live/a/b", "the room name has the character '/'"),
            ("live/a,b", "the room name has the character ','"),
        ] {
            let url = format!("rtmp://{}/{address}", server.rtmp);
            let mut push = program();
            let output = push.args(["-re", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", &url]).output();
            let output = output.expect("FFmpeg runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(reason), "{address}: {said}");
            assert!(!said.contains("authentication"), "{address}: {said}");
        }
    }
}

#[test]
fn the_app_is_a_setting() {
    let server = TestServer::start(&["--rtmp-app", "studio"]);
    let _publisher =
        RtmpPeer::start(dial(server.rtmp), Client::publisher("studio", "r")).expect("it is served");
    let refused = refused(&server, Client::publisher("live", "r"));
    assert!(refused.description.contains("live"), "{refused:?}");
}

#[test]
fn bad_room_names_are_refused_with_what_is_wrong() {
    let server = TestServer::start(&[]);
    let long = "a".repeat(129);
    for (name, reason) in [
        ("", "empty"),
        ("a b", "' '"),
        ("a/b", "'/'"),
        ("raum\u{e9}", "'\u{e9}'"),
        (".", "\"..\""),
        ("..", "\"..\""),
        ("?key=value", "empty"),
        (&long, "128"),
    ] {
        let publish = refused(&server, Client::publisher("live", name));
        assert_eq!(publish.code, "NetStream.Publish.Denied", "{name:?}");
        assert!(publish.description.contains(reason), "{name:?}: {publish:?}");
        let play = refused(&server, Client::player("live", name));
        assert_eq!(play.code, "NetStream.Play.StreamNotFound", "{name:?}");
    }
}

#[test]
fn a_room_without_a_publisher_is_not_found() {
    let server = TestServer::start(&[]);
    let refused = refused(&server, Client::player("live", "absent"));
    assert_eq!(refused.code, "NetStream.Play.StreamNotFound");
    assert!(refused.description.contains("absent"), "{refused:?}");
}
