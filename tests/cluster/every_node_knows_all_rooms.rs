//! Whichever node is asked, it tells which rooms there are, and that there is no such room.

use std::time::Duration;

use serde_json::{Value, json};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{Response, request},
    redis::{Redis, RedisProxy},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::{now, poll_until},
};

use crate::node;

/// An answer that no other node has to be waited for.
const AT_ONCE: Duration = Duration::from_millis(500);

fn answered_within(limit: Duration, server: &TestServer, path: &str) -> Response {
    let asked = now();
    let response = request(server.http, "GET", path);
    assert!(asked.elapsed() < limit, "{path}: {:?}", asked.elapsed());
    response
}

fn listed(server: &TestServer) -> Value {
    request(server.http, "GET", "/api/v1/streams").json()
}

#[test]
fn a_room_that_nobody_has_is_404_at_once_and_503_while_nobody_can_know() {
    let mut redis = Redis::start(&[]);
    let nodes = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &[]));
    for server in &nodes {
        let response = answered_within(AT_ONCE, server, "/nobodys.flv");
        assert_eq!(response.status, 404, "{}", response.text());
        let refused = RtmpPeer::try_play(server, "nobodys").expect_err("there is nothing to play");
        assert_eq!(refused.code, "NetStream.Play.StreamNotFound");
    }
    redis.kill();
    for server in &nodes {
        let response = answered_within(Duration::from_secs(3), server, "/another.flv");
        assert_eq!(response.status, 503, "{}", response.text());
        assert_ne!(response.header("retry-after"), "");
    }
}

#[test]
fn a_redis_that_hangs_is_not_waited_for() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    let n1 = node("n1", &proxy.url(), &[]);
    proxy.delay(60_000);
    let response = answered_within(Duration::from_secs(3), &n1, "/r.flv");
    assert_eq!(response.status, 503, "{}", response.text());
}

#[test]
fn a_room_is_listed_by_all_nodes_with_the_one_that_has_it() {
    let mut redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&frames::keyframe(0, 0));
    for server in [&n1, &n2] {
        let list = listed(server);
        assert_eq!(list["complete"], true);
        assert_eq!(list["streams"][0]["room"], "r");
        assert_eq!(
            (&list["streams"][0]["node"], &list["streams"][0]["state"]),
            (&json!("n1"), &json!("live"))
        );
    }
    let mut viewer = FlvViewer::open(&n2, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    let pulled = poll_until("details of what n2 pulls", || {
        let list = listed(&n2);
        list["streams"][0].get("details").is_some_and(|details| details["viewers"] == 1).then_some(list)
    });
    assert_eq!(pulled["streams"][0]["node"], "n1");
    assert_eq!(pulled["streams"][0]["details"]["video"]["codec"], "H.264");

    redis.kill();
    let alone = poll_until("a list without the registry", || {
        Some(listed(&n2)).filter(|list| list["complete"] == false)
    });
    assert_eq!((&alone["streams"][0]["room"], &alone["streams"][0]["node"]), (&json!("r"), &json!("n1")));
}
