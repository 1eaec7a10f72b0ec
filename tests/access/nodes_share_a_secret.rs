//! Nodes that share a Redis know each other by a secret in it, without any setting.

use std::net::SocketAddr;

use serde_json::json;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{request_with, send_get},
    redis::Redis,
    rtmp::RtmpPeer,
    server::TestServer,
    socket::dial,
    wait::poll_until,
};

use crate::{closed, publish_allowed, token};

fn node(redis: &Redis, id: &str) -> TestServer {
    closed(&["--redis-url", &redis.url(), "--node-id", id, "--pull-grace-s", "60"])
}

fn live(server: &TestServer) -> RtmpPeer {
    let mut publisher = publish_allowed(server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    publisher
}

fn watch(http: SocketAddr) -> FlvViewer {
    let mut socket = dial(http);
    send_get(&mut socket, &format!("/r.flv?token={}", token("r", "play", json!({}))));
    FlvViewer::of(socket)
}

#[test]
fn a_node_pulls_and_a_stranger_does_not() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node(&redis, "n1"), node(&redis, "n2"));
    let _publisher = live(&n1);
    watch(n2.http).frames_until(&frames::keyframe(0, 0));
    let stranger = request_with(n1.http, "GET", "/r.flv", &[("Synctv-Pull", "n2")]);
    assert_eq!((stranger.status, stranger.json()["error"].as_str()), (403, Some("not_a_node")));
    assert_eq!(redis.ask(&["STRLEN", "cluster_secret"]), ["64"]);
}

#[test]
fn an_emptied_redis_and_a_new_node_with_another_secret_are_survived() {
    let mut redis = Redis::start(&[]);
    let (n1, n2) = (node(&redis, "n1"), node(&redis, "n2"));
    let mut publisher = live(&n1);
    let mut viewer = watch(n2.http);
    viewer.frames_until(&frames::keyframe(0, 0));
    redis.kill();
    redis.start_again();
    // As if a new node had come first.
    let other = "0123456789abcdef".repeat(4);
    redis.ask(&["SET", "cluster_secret", &other]);
    let n3 = node(&redis, "n3");
    poll_until("the room is known again", || (redis.rooms() == ["stream:r"]).then_some(()));
    // Nodes with the new secret pull from nodes that had another one, once these have seen it.
    let mut late = poll_until("the nodes agree", || {
        let mut socket = dial(n3.http);
        send_get(&mut socket, &format!("/r.flv?token={}", token("r", "play", json!({}))));
        let head = synctv_testkit::http::read_head(&mut socket);
        (head.status == 200).then(|| watch(n3.http))
    });
    publisher.send(&frames::keyframe(80, 2));
    viewer.frames_until(&frames::keyframe(80, 2));
    late.frames_until(&frames::keyframe(80, 2));
    assert_eq!(redis.ask(&["GET", "cluster_secret"]), [other]);
}
