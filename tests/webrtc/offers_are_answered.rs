//! An offer gets an answer that can be played, or a reason; sessions end on request.

use synctv_testkit::{
    http::request,
    server::TestServer,
    whep::{OFFER, SDP, post, send},
};

use crate::{publish, start};

#[test]
fn an_answer_is_complete_and_leads_to_its_session() {
    let server = start(&[]);
    let _publisher = publish(&server, "r");
    for path in ["/r/whep", "/live/r/whep?x=1"] {
        let answer = post(server.http, path, &[SDP], OFFER);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (201, "application/sdp"),
            "{}",
            answer.text()
        );
        let text = answer.text();
        assert!(text.contains("a=ice-lite") && text.contains("127.0.0.1"), "{text}");
        assert!(text.contains("profile-level-id=42001f") && !text.contains("VP8"), "{text}");
        assert!(answer.header("access-control-expose-headers").contains("Location"));
        let location = answer.header("location");
        assert!(location.starts_with(path.split('?').next().unwrap()), "{location}");
        assert_eq!(request(server.http, "DELETE", location).status, 200);
    }
}

#[test]
fn a_session_that_was_ended_is_not_there() {
    let server = start(&[]);
    let _publisher = publish(&server, "r");
    let location = post(server.http, "/r/whep", &[SDP], OFFER).header("location").to_owned();
    assert_eq!(request(server.http, "DELETE", &location.replace("/r/", "/s/")).status, 404);
    assert_eq!(request(server.http, "DELETE", &location).status, 200);
    server.log.find("its end", |line| line.says("WebRTC viewer did not connect", "r"));
    assert_eq!(request(server.http, "DELETE", &location).status, 404);
    for nonsense in ["/r/whep/", "/r/whep/xyz", "/r/whep/00000000000000000000000000000000-n"] {
        assert_eq!(request(server.http, "DELETE", nonsense).json()["error"], "no_session");
    }
}

#[test]
fn candidates_are_taken_and_restarts_are_not() {
    let server = start(&[]);
    let _publisher = publish(&server, "r");
    let answer = post(server.http, "/r/whep", &[SDP], OFFER);
    let (location, tag) = (answer.header("location"), answer.header("etag"));
    let fragment = ("Content-Type", "application/trickle-ice-sdpfrag");
    let patch = |headers: &[(&str, &str)]| {
        send(server.http, "PATCH", location, headers, "a=end-of-candidates").status
    };
    assert_eq!(patch(&[fragment, ("If-Match", tag)]), 204);
    assert_eq!(patch(&[fragment]), 428);
    assert_eq!(patch(&[fragment, ("If-Match", "\"other\"")]), 412);
    assert_eq!(patch(&[fragment, ("If-Match", "*")]), 422);
    assert_eq!(patch(&[SDP, ("If-Match", tag)]), 415);
}

#[test]
fn what_cannot_be_answered_is_refused_with_a_reason() {
    let server = start(&[]);
    let _publisher = publish(&server, "r");
    let refused = |path: &str, headers: &[(&str, &str)], body: &str| {
        let response = post(server.http, path, headers, body);
        (response.status, response.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused("/absent/whep", &[SDP], OFFER), is(404, "room_not_live"));
    assert_eq!(refused("/a%20b/whep", &[SDP], OFFER), is(400, "bad_room_name"));
    assert_eq!(refused("/r/whep", &[], OFFER), is(415, "content_type"));
    assert_eq!(refused("/r/whep", &[SDP], "hello"), is(400, "bad_offer"));
    assert_eq!(refused("/r/whep", &[SDP], ""), is(400, "bad_offer"));
    assert_eq!(refused("/r/whep", &[SDP], &"a=x\r\n".repeat(20_000)), is(413, "body_too_large"));
    let without_h264 = OFFER.replace("H264", "H266");
    assert_eq!(refused("/r/whep", &[SDP], &without_h264), is(422, "codec_not_offered"));
    assert_eq!(request(server.http, "PUT", "/r/whep").status, 405);
    let preflight = request(server.http, "OPTIONS", "/r/whep");
    assert_eq!((preflight.status, preflight.header("accept-post")), (204, "application/sdp"));
}

#[test]
fn viewers_have_a_limit() {
    let server = start(&["--rtc-viewers-max", "1"]);
    let _publisher = publish(&server, "r");
    let first = post(server.http, "/r/whep", &[SDP], OFFER);
    let second = post(server.http, "/r/whep", &[SDP], OFFER);
    assert_eq!((first.status, second.status, second.header("retry-after")), (201, 503, "5"));
    request(server.http, "DELETE", first.header("location"));
    server.log.find("its end", |line| line.says("WebRTC viewer did not connect", "r"));
    assert_eq!(post(server.http, "/r/whep", &[SDP], OFFER).status, 201);
}

#[test]
fn without_webrtc_there_is_nothing_at_its_paths() {
    let server = TestServer::start(&["--rtc-addr", "off"]);
    let _publisher = publish(&server, "r");
    let refused = post(server.http, "/r/whep", &[SDP], OFFER);
    assert!(refused.status == 404 && refused.text().contains("WebRTC is off"), "{}", refused.text());
}
