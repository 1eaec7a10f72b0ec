//! Every node lists the rooms of all nodes, and knows that there is no such room.

use serde_json::{Value, json};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    redis::{Redis, RedisProxy},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::{PATIENCE, poll_until},
};

use crate::{LONG_LEASE, node};

fn listed(server: &TestServer) -> Value {
    request(server.http, "GET", "/api/v1/streams").json()
}

#[test]
fn a_room_of_no_node_is_404_without_asking_other_nodes() {
    let redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &LONG_LEASE));
    n2.signal("STOP");
    let response = request(n1.http, "GET", "/absent.flv");
    assert_eq!(response.status, 404, "{}", response.text());
    let refused = RtmpPeer::try_play(&n1, "absent").expect_err("there is nothing to play");
    assert_eq!(refused.code, "NetStream.Play.StreamNotFound");
}

#[test]
fn a_room_that_cannot_be_looked_up_is_503() {
    let mut redis = Redis::start(&[]);
    let n1 = node("n1", &redis.url(), &[]);
    redis.kill();
    let response = request(n1.http, "GET", "/r.flv");
    assert_eq!(response.status, 503, "{}", response.text());
    assert_ne!(response.header("retry-after"), "");
}

#[test]
fn a_redis_that_hangs_is_not_waited_for() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    let n1 = node("n1", &proxy.url(), &[]);
    proxy.delay(2 * PATIENCE);
    let response = request(n1.http, "GET", "/r.flv");
    assert_eq!(response.status, 503, "{}", response.text());
}

#[test]
fn a_room_is_listed_by_all_nodes_with_the_one_that_has_it() {
    let mut redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &[]));
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::video_headers());
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
