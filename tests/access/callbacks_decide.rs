//! An HTTP callback decides where no valid token does. Whatever it does wrong, access stays closed.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use serde_json::json;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{request, request_with, send_get},
    metrics::Scrape,
    server::TestServer,
    service::Service,
    socket::dial,
    tools::Encoded,
    wait::poll_until,
};

use crate::{SECRET, publish, token, unix_s};

/// A server with a callback, which has time to answer also on a busy machine.
fn server(callback: &Service, flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--auth-url", &callback.url(), "--auth-timeout-ms", "2000"], flags].concat())
}

/// Yes for a query that says so.
fn by_query() -> Service {
    Service::start(|asked| match asked["query"].as_str() {
        Some("pass=good") => Some((200, "OK".to_owned())),
        _ => Some((403, json!({ "message": "not in this house" }).to_string())),
    })
}

#[test]
fn it_is_asked_and_its_words_are_shown() {
    let callback = by_query();
    let server = server(&callback, &[]);
    let mut publisher = publish(&server, "r?pass=good").expect("it says yes");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let asked = &callback.asked()[0];
    assert!(asked["id"].as_str().is_some_and(|id| !id.is_empty()), "{asked}");
    for (name, value) in [
        ("action", "publish"),
        ("room", "r"),
        ("protocol", "rtmp"),
        ("peer", "127.0.0.1"),
        ("query", "pass=good"),
    ] {
        assert_eq!(asked[name], value, "{asked}");
    }
    let refused = publish(&server, "s?pass=bad").expect_err("it says no");
    assert_eq!(
        (refused.code.as_str(), refused.description.as_str()),
        ("NetStream.Publish.Denied", "not in this house")
    );
    let answer = request(server.http, "GET", "/r.flv?pass=bad");
    assert_eq!((answer.status, answer.json()["message"].as_str()), (403, Some("not in this house")));
    assert_eq!(request(server.http, "HEAD", "/r.flv?pass=good").status, 200);
}

#[test]
fn a_valid_token_needs_no_question_and_answers_are_remembered() {
    let callback = by_query();
    let server = server(&callback, &["--token-secret", SECRET]);
    let _publisher =
        publish(&server, &format!("r?token={}", token("r", "publish", json!({})))).expect("a token");
    let wrong = format!("/r.flv?token={}", token("s", "play", json!({})));
    assert_eq!(request(server.http, "GET", &wrong).json()["error"], "wrong_room");
    assert_eq!(callback.asked().len(), 0);
    for _ in 0..3 {
        assert_eq!(request(server.http, "HEAD", "/r.flv?pass=good").status, 200);
        assert_eq!(request(server.http, "HEAD", "/r.flv?pass=bad").status, 403);
    }
    assert_eq!(callback.asked().len(), 2);
}

#[test]
fn it_may_limit_time_and_connections() {
    let limited = json!({ "max": 0 }).to_string();
    let over = json!({ "until": unix_s() }).to_string();
    let callback = Service::start(move |asked| match asked["room"].as_str() {
        Some("limited") => Some((200, limited.clone())),
        _ => Some((200, over.clone())),
    });
    let server = server(&callback, &[]);
    let refused = publish(&server, "limited").expect_err("none is allowed");
    assert!(refused.description.contains("connection limit reached (0)"), "{refused:?}");
    assert_eq!(publish(&server, "over").expect_err("it is over").description, "the token has expired");
}

#[test]
fn connections_are_counted_by_the_user_that_it_names() {
    let callback = Service::start(|asked| {
        let user =
            asked["query"].as_str().and_then(|query| query.split('&').find(|pair| pair.starts_with("user=")));
        Some((200, json!({ "sub": user, "max": 1 }).to_string()))
    });
    let server = server(&callback, &[]);
    let mut publisher = publish(&server, "r?user=p").expect("it says yes");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut socket = dial(server.http);
    send_get(&mut socket, "/r.flv?user=a");
    let mut watching = FlvViewer::of(socket);
    watching.frames_until(&frames::keyframe(0, 0));
    let second = request(server.http, "GET", "/r.flv?user=a&other=query");
    assert_eq!((second.status, second.json()["error"].as_str()), (429, Some("too_many_connections")));
    assert_eq!(request(server.http, "HEAD", "/r.flv?user=b&other=query").status, 200);
}

#[test]
fn while_it_fails_access_is_closed_but_a_known_yes_still_counts() {
    let status = Arc::new(AtomicU16::new(200));
    let answered = status.clone();
    let callback = Service::start(move |_| match answered.load(Ordering::Relaxed) {
        0 => None,
        200 => Some((200, json!({ "cache_s": 0 }).to_string())),
        status => Some((status, String::new())),
    });
    let server = server(&callback, &["--metrics-addr", "127.0.0.1:0"]);
    let _publisher = publish(&server, "r").expect("it says yes");
    assert_eq!(request(server.http, "HEAD", "/r.flv?known").status, 200);
    for failure in [500, 302, 429, 0] {
        status.store(failure, Ordering::Relaxed);
        let answer = request(server.http, "GET", &format!("/r.flv?{failure}"));
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (503, Some("auth_unavailable")),
            "{failure}"
        );
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(request(server.http, "HEAD", "/r.flv?known").status, 200, "{failure}");
    }
    let scrape = Scrape::of(server.metrics());
    for (outcome, count) in [("ok", 2.0), ("denied", 0.0), ("error", 6.0), ("timeout", 2.0)] {
        let sample = format!("synctv_auth_callbacks_total{{outcome=\"{outcome}\"}}");
        assert_eq!(scrape.value(&sample), count, "{outcome}");
    }
    assert_eq!(scrape.value("synctv_auth_callback_seconds_count"), 10.0);
}

#[test]
fn an_unreachable_callback_refuses() {
    let server = TestServer::start(&["--auth-url", "http://127.0.0.1:1/", "--auth-timeout-ms", "500"]);
    let refused = publish(&server, "r").expect_err("there is no yes");
    assert_eq!(refused.description, "access cannot be decided now, retry");
}

#[test]
fn a_flood_from_one_address_is_not_passed_on() {
    let callback = by_query();
    let server = server(&callback, &[]);
    let _publisher = publish(&server, "r?pass=good").expect("it says yes");
    std::thread::scope(|scope| {
        for at in 0..60 {
            let http = server.http;
            scope
                .spawn(move || assert_ne!(request(http, "GET", &format!("/r.flv?pass=bad{at}")).status, 200));
        }
    });
    let before = callback.asked().len();
    for at in 0..3 {
        assert_eq!(request(server.http, "GET", &format!("/r.flv?pass=worse{at}")).status, 401);
    }
    assert!(callback.asked().len() <= before + 1, "a bucket may have got one back");
    // One that is known passes.
    publish(&server, "r?pass=good").expect_err("someone publishes");
}

#[test]
fn a_known_yes_counts_while_others_fail_from_its_address() {
    let callback = Service::start(|asked| match asked["query"].as_str() {
        Some("pass=good") => Some((200, json!({ "cache_s": 0 }).to_string())),
        _ => Some((403, String::new())),
    });
    let server = server(&callback, &[]);
    let _publisher = publish(&server, "r?pass=good").expect("it says yes");
    assert_eq!(request(server.http, "HEAD", "/r.flv?pass=good").status, 200);
    std::thread::scope(|scope| {
        for at in 0..60 {
            let http = server.http;
            scope.spawn(move || request(http, "GET", &format!("/r.flv?pass=bad{at}")));
        }
    });
    let asked = callback.asked().len();
    assert_eq!(request(server.http, "HEAD", "/r.flv?pass=good").status, 200);
    assert!(callback.asked().len() <= asked + 1, "a bucket may have got one back");
}

#[test]
fn a_list_with_a_credential_of_the_callback_is_empty_and_no_failure() {
    let callback = by_query();
    let server = server(&callback, &["--token-secret", SECRET]);
    let _publisher = publish(&server, "r?pass=good").expect("it says yes");
    for _ in 0..30 {
        let list = request_with(
            server.http,
            "GET",
            "/api/v1/streams",
            &[("Authorization", "Bearer of-the-callback")],
        );
        assert_eq!((list.status, &list.json()["streams"]), (200, &json!([])));
    }
    assert_eq!(request(server.http, "HEAD", "/r.flv?pass=good").status, 200);
}

#[test]
fn one_question_opens_all_playlists_of_low_latency_hls() {
    let callback = by_query();
    let flags = ["--auth-url", &callback.url(), "--publisher-grace-s", "60", "--hls-fmp4", "always"];
    let server = TestServer::with_hls(&flags);
    let source = Encoded::new(3, "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0", "-c:a aac");
    source.push(&format!("{}?pass=good", server.rtmp_url("r")));
    let master = poll_until("the playlist names another", || {
        let answer = server.hls().get("/live/r/master.m3u8?pass=good");
        (answer.status == 200).then_some(answer)
    });
    let address = format!("/live/r/{}", master.text().lines().last().unwrap());
    let playlist = server.hls().get(&address);
    assert_eq!(playlist.status, 200, "{address}");
    let asked = callback.asked().len();
    let text = playlist.text();
    let sequence = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).expect(&text);
    for directives in [format!("_HLS_msn={sequence}"), format!("_HLS_msn={sequence}&_HLS_part=0")] {
        assert_eq!(server.hls().get(&format!("{address}&{directives}")).status, 200, "{directives}");
    }
    assert_eq!(callback.asked().len(), asked);
}
