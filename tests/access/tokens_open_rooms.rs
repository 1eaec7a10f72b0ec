//! With a secret set, rooms are published and watched with a token or a key that is for them, and with nothing else.

use serde_json::json;
use synctv_media::access::Action;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{request, request_with, send_get},
    rtmp::{Client, RtmpPeer},
    server::TestServer,
    socket::dial,
};

use crate::{ADMIN_TOKEN, closed, key, publish, publish_allowed, token, unix_s};

fn live(server: &TestServer) -> RtmpPeer {
    let mut publisher = publish_allowed(server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    publisher
}

#[test]
fn with_nothing_set_all_is_open_and_a_line_says_so() {
    let server = TestServer::start(&[]);
    let _publisher = publish(&server, "r?token=whatever").expect("anyone may publish");
    let warning =
        server.log.find("the warning", |line| line.text("msg").contains("anyone may publish and watch"));
    assert_eq!(warning.text("level"), "warn");
    assert_eq!(request(server.http, "GET", "/api/v1/streams/r").status, 200);
    assert_eq!(request(server.http, "DELETE", "/api/v1/streams/r/publisher").status, 404);
}

#[test]
fn a_publisher_needs_a_token_for_its_room() {
    let server = closed(&[]);
    let refused = |stream_name: &str| publish(&server, stream_name).expect_err("it is refused");
    for (stream_name, words) in [
        ("r".to_owned(), "a token is needed"),
        ("r?token=".to_owned(), "a token is needed"),
        ("r?token=nonsense".to_owned(), "the token is invalid"),
        ("r?key=nonsense".to_owned(), "the token is invalid"),
        (format!("r?token={}", token("r", "publish", json!({ "exp": 7 }))), "the token has expired"),
        (format!("r?token={}", token("s", "publish", json!({}))), "the token is for another room"),
        (format!("r?token={}", token("r", "play", json!({}))), "the token does not allow this"),
        (format!("r?key={}", key("r", Action::Play)), "the token is invalid"),
        (format!("r?key={}", key("s", Action::Publish)), "the token is invalid"),
    ] {
        let refused = refused(&stream_name);
        assert_eq!(
            (refused.code.as_str(), refused.description.as_str()),
            ("NetStream.Publish.Denied", words)
        );
    }
}

#[test]
fn a_token_or_key_lets_a_publisher_in() {
    let server = closed(&[]);
    for query in [
        format!("token={}", token("r", "publish", json!({}))),
        format!("token={}", token("*", "publish", json!({ "iss": "any", "aud": "any" }))),
        format!("key={}", key("r", Action::Publish)),
    ] {
        publish(&server, &format!("r?{query}")).expect("it is allowed").unpublish();
        server.wait_for_publisher_leaving("r");
    }
}

#[test]
fn the_stream_names_token_counts_before_the_apps() {
    let server = closed(&[]);
    let good = token("r", "publish", json!({}));
    let publish = |app: &str, name: &str| RtmpPeer::start(dial(server.rtmp), Client::publisher(app, name));
    publish(&format!("live?token={good}"), "r").expect("the app's token counts").unpublish();
    server.wait_for_publisher_leaving("r");
    publish(&format!("live?token={good}"), "r?token=bad").expect_err("the stream name's counts first");
    publish("live?token=bad", &format!("r?token={good}")).expect("the stream name's counts first");
}

#[test]
fn a_viewer_needs_a_token_wherever_it_can_be_carried() {
    let server = closed(&[]);
    let mut publisher = live(&server);
    let good = token("r", "play", json!({}));
    let authorization = format!("Bearer {good}");
    let head = |path: &str, headers: &[(&str, &str)]| request_with(server.http, "HEAD", path, headers).status;
    assert_eq!(head("/r.flv", &[("Authorization", &authorization)]), 200);
    assert_eq!(head(&format!("/r.flv?token={good}"), &[]), 200);
    assert_eq!(head(&format!("/live/r.flv?key={}", key("r", Action::Play)), &[]), 200);
    assert_eq!(head(&format!("/r.flv?token={good}"), &[("Authorization", "Bearer bad")]), 401);
    let mut socket = dial(server.http);
    send_get(&mut socket, &format!("/r.flv?token={good}"));
    let mut viewer = FlvViewer::of(socket);
    publisher.send(&frames::keyframe(40, 1));
    viewer.frames_until(&frames::keyframe(40, 1));
    let player = Client::player("live", &format!("r?token={good}"));
    RtmpPeer::start(dial(server.rtmp), player).expect("it is allowed");
    let refused = RtmpPeer::try_play(&server, "r").expect_err("it has no token");
    assert_eq!(refused.code, "NetStream.Play.Failed");
}

#[test]
fn a_refusal_says_why_before_it_is_looked_whether_the_room_exists() {
    let server = closed(&[]);
    let _publisher = live(&server);
    for (query, status, code) in [
        (String::new(), 401, "token_missing"),
        ("?token=x".to_owned(), 401, "token_invalid"),
        (format!("?token={}", token("*", "play", json!({ "exp": 7 }))), 401, "token_expired"),
        (format!("?token={}", token("*", "play", json!({ "end": unix_s() }))), 401, "token_expired"),
        (format!("?token={}", token("other", "play", json!({}))), 403, "wrong_room"),
        (format!("?token={}", token("*", "publish", json!({}))), 403, "not_allowed"),
    ] {
        for path in ["/nowhere.flv", "/api/v1/streams/r"] {
            let answer = request(server.http, "GET", &format!("{path}{query}"));
            assert_eq!(
                (answer.status, answer.json()["error"].as_str()),
                (status, Some(code)),
                "{path}{query}"
            );
            assert_eq!(answer.header("www-authenticate"), if status == 401 { "Bearer" } else { "" });
            assert_eq!(answer.header("access-control-allow-origin"), "*");
        }
    }
}

#[test]
fn the_list_has_what_the_token_may_see() {
    let server = closed(&[]);
    let _publishers = ["a1", "a2", "b"].map(|room| publish_allowed(&server, room));
    let listed = |headers: &[(&str, &str)]| {
        let list = request_with(server.http, "GET", "/api/v1/streams", headers).json();
        let streams = list["streams"].as_array().unwrap().clone();
        streams.iter().map(|stream| stream["room"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let with = |token: &str| listed(&[("Authorization", &format!("Bearer {token}"))]);
    assert!(listed(&[]).is_empty());
    assert_eq!(with(&token("a*", "list", json!({}))), ["a1", "a2"]);
    assert_eq!(with(&token("b", "play", json!({}))), ["b"]);
    assert_eq!(with(ADMIN_TOKEN), ["a1", "a2", "b"]);
    let preflight = request(server.http, "OPTIONS", "/api/v1/streams");
    assert_eq!(preflight.header("access-control-allow-headers"), "Authorization, *");
}

#[test]
fn only_what_is_closed_needs_a_token() {
    let server = closed(&["--play-access", "open"]);
    let _publisher = live(&server);
    publish(&server, "s").expect_err("publishing is closed");
    assert_eq!(request(server.http, "HEAD", "/r.flv").status, 200);
    assert_eq!(request(server.http, "GET", "/api/v1/streams/r").status, 200);
}

#[test]
fn a_tokens_end_cuts_what_runs_and_its_limit_counts() {
    let server = closed(&[]);
    let _publisher = live(&server);
    let end = unix_s() + 3;
    let query = format!("token={}", token("r", "play", json!({ "end": end, "max": 1 })));
    let mut socket = dial(server.http);
    send_get(&mut socket, &format!("/r.flv?{query}"));
    let mut viewer = FlvViewer::of(socket);
    viewer.frames_until(&frames::keyframe(0, 0));
    let refused = request(server.http, "GET", &format!("/r.flv?{query}"));
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    viewer.frames_to_the_end();
    assert!(unix_s() >= end);
    let left = server.wait_for_viewer_leaving("r", "http-flv");
    assert_eq!(left.text("why"), "the time that its token allows is over");
}

#[test]
fn the_password_of_a_turn_server_is_for_those_who_may_watch() {
    let server =
        closed(&["--rtc-addr", "127.0.0.1:0", "--rtc-ice-servers", "turn:me:secret@turn.example:3478"]);
    let preflight = |path: &str| request(server.http, "OPTIONS", path);
    let query = format!("?token={}", token("r", "play", json!({})));
    assert!(preflight(&format!("/r/whep{query}")).header("link").contains("secret"));
    let headers = [("Access-Control-Request-Method", "POST")];
    let by_a_browser = request_with(server.http, "OPTIONS", &format!("/r/whep{query}"), &headers);
    assert_eq!((by_a_browser.status, by_a_browser.header("link")), (204, ""), "its POST has the credential");
    for path in ["/r/whep".to_owned(), "/r/whep?token=x".to_owned(), format!("/s/whep{query}")] {
        let answer = preflight(&path);
        assert_eq!((answer.status, answer.header("link")), (204, ""), "{path}");
    }
}
