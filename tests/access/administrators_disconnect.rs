//! An administrator disconnects, blocks and revokes, on any node for all of them.

use serde_json::json;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{request, request_with, send_get},
    redis::Redis,
    rtmp::RtmpPeer,
    server::TestServer,
    socket::dial,
    wait::poll_until,
};

use crate::{administer, closed, publish, publish_allowed, token};

fn watch(server: &TestServer, token: &str) -> FlvViewer {
    let mut socket = dial(server.http);
    send_get(&mut socket, &format!("/r.flv?token={token}"));
    FlvViewer::of(socket)
}

fn live(server: &TestServer) -> RtmpPeer {
    let mut publisher = publish_allowed(server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    publisher
}

#[test]
fn a_blocked_publisher_is_disconnected_and_stays_away() {
    let server = closed(&[]);
    let _publisher = live(&server);
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/publisher?block_s=60").status, 204);
    let left = server.wait_for_publisher_leaving("r");
    assert_eq!(left.text("why"), "an administrator disconnected it");
    let stream_name = format!("r?token={}", token("r", "publish", json!({})));
    let refused = publish(&server, &stream_name).expect_err("the room is blocked");
    assert_eq!(refused.description, "the room is blocked");
}

#[test]
fn a_block_and_a_revocation_are_lifted() {
    let server = closed(&[]);
    let of_token = |verb: &str| administer(&server, "DELETE", &format!("/api/v1/tokens/j{verb}"));
    let of_room = |path: &str| administer(&server, "DELETE", &format!("/api/v1/streams/r/{path}"));
    for nothing_yet in [of_token("/revocation"), of_room("block")] {
        assert_eq!((nothing_yet.status, &nothing_yet.json()["error"]), (404, &json!("not_in_force")));
    }
    let stream_name = format!("r?token={}", token("r", "publish", json!({ "jti": "j" })));
    assert_eq!(of_token("").status, 204);
    assert_eq!(
        publish(&server, &stream_name).expect_err("it is revoked").description,
        "the token has been revoked"
    );
    assert_eq!(of_token("/revocation").status, 204);
    assert_eq!(of_token("/revocation").status, 404);
    assert_eq!(of_room("publisher?block_s=600").status, 204);
    assert_eq!(publish(&server, &stream_name).expect_err("it is blocked").description, "the room is blocked");
    assert_eq!(of_room("block").status, 204);
    publish(&server, &stream_name).expect("both are lifted");
}

#[test]
fn a_publisher_that_is_not_blocked_may_come_back() {
    let server = closed(&[]);
    let _publisher = live(&server);
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/publisher").status, 204);
    server.wait_for_publisher_leaving("r");
    publish_allowed(&server, "r");
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/nowhere/publisher").status, 404);
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/publisher?block_s=x").status, 400);
    assert_eq!(administer(&server, "GET", "/api/v1/streams/r/publisher").status, 405);
}

#[test]
fn viewers_are_disconnected_by_their_subject() {
    let server = closed(&[]);
    let _publisher = live(&server);
    let mut ann = watch(&server, &token("r", "play", json!({ "sub": "Ann B" })));
    let mut bob = watch(&server, &token("r", "play", json!({ "sub": "Bob" })));
    for viewer in [&mut ann, &mut bob] {
        viewer.frames_until(&frames::keyframe(0, 0));
    }
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/viewers?sub=Ann%20B").status, 204);
    ann.frames_to_the_end();
    assert_eq!(
        request_with(
            server.http,
            "GET",
            "/api/v1/streams/r",
            &[("Authorization", &format!("Bearer {}", token("r", "play", json!({}))),)]
        )
        .json()["details"]["viewers"],
        1
    );
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/viewers").status, 400);
}

#[test]
fn strangers_administer_nothing() {
    let server = closed(&[]);
    let _publisher = live(&server);
    for (authorization, status) in [
        (String::new(), 401),
        ("Bearer nonsense".to_owned(), 401),
        (format!("Bearer {}", token("*", "publish", json!({}))), 403),
        (format!("Bearer {}", token("s", "admin", json!({}))), 403),
    ] {
        for path in ["/api/v1/streams/r/publisher", "/api/v1/streams/r/viewers?sub=s", "/api/v1/tokens/j"] {
            let answer = request_with(server.http, "DELETE", path, &[("Authorization", &authorization)]);
            assert_eq!(answer.status, status, "{path} {authorization}");
        }
    }
    let of_room = format!("Bearer {}", token("r", "admin", json!({})));
    let path = "/api/v1/streams/r/publisher";
    assert_eq!(request_with(server.http, "DELETE", path, &[("Authorization", &of_room)]).status, 204);
}

#[test]
fn orders_reach_all_nodes_and_outlive_an_emptied_redis() {
    let mut redis = Redis::start(&[]);
    let url = redis.url();
    let node = |id: &str| closed(&["--redis-url", &url, "--node-id", id]);
    let (n1, n2) = (node("n1"), node("n2"));
    let mut publisher = live(&n1);
    let revoked = token("r", "play", json!({ "jti": "j" }));
    let mut viewer = watch(&n2, &revoked);
    viewer.frames_until(&frames::keyframe(0, 0));
    publisher.send(&frames::keyframe(40, 1));
    assert_eq!(administer(&n1, "DELETE", "/api/v1/tokens/j").status, 204);
    viewer.frames_to_the_end();
    let left = n2.wait_for_viewer_leaving("r", "http-flv");
    assert_eq!(left.text("why"), "its token has been revoked");
    assert_eq!(request(n2.http, "GET", &format!("/r.flv?token={revoked}")).json()["error"], "revoked");
    assert_eq!(administer(&n2, "DELETE", "/api/v1/streams/r/publisher?block_s=600").status, 204);
    n1.wait_for_publisher_leaving("r");
    redis.kill();
    redis.start_again();
    poll_until("the orders are written again", || {
        (redis.ask(&["ZRANGE", "access_orders", "0", "-1"]).len() >= 2).then_some(())
    });
    // A node that was not there when they were given.
    let n3 = node("n3");
    let stream_name = format!("r?token={}", token("r", "publish", json!({})));
    assert_eq!(publish(&n3, &stream_name).expect_err("it is blocked").description, "the room is blocked");
    assert_eq!(request(n3.http, "GET", &format!("/r.flv?token={revoked}")).json()["error"], "revoked");
    // By a node that did not give them, for all.
    assert_eq!(administer(&n3, "DELETE", "/api/v1/streams/r/block").status, 204);
    assert_eq!(administer(&n3, "DELETE", "/api/v1/tokens/j/revocation").status, 204);
    let mut again = poll_until("the block is lifted on all nodes", || publish(&n1, &stream_name).ok());
    again.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    poll_until("the revocation is lifted on all nodes", || {
        let answer = request(n2.http, "GET", &format!("/api/v1/streams/r?token={revoked}"));
        (answer.status == 200).then_some(())
    });
    assert_eq!(administer(&n2, "DELETE", "/api/v1/streams/r/block").status, 404);
}
