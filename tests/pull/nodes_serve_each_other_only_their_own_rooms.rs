//! A node serves other nodes only what is published through it, and refuses a viewer with the reason.

use std::io::Write;

use synctv_actors::cluster::origin::NodeAddresses;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{exchange, request},
    nodes::{CLUSTER_SECRET, TestCluster, pull_request},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::dial,
};

/// A request that any client can send.
const STRANGER: &[u8] = b"GET /r.flv HTTP/1.1\r\nHost: n\r\nSynctv-Pull: n3\r\n\r\n";

#[test]
fn a_pull_from_a_pull_is_refused() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let mut publisher = origin.publish("r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    edge.watch("r").frames_until(&frames::keyframe(0, 0));
    let refused = exchange(edge.http, pull_request("r").as_bytes());
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("not_published_here"), "{}", refused.text());
}

#[test]
fn a_pull_ends_with_its_publisher_while_viewers_stay() {
    let cluster = TestCluster::default();
    let origin = cluster.node("n1", &[]);
    let mut publisher = origin.publish("r");
    let frame = frames::keyframe(0, 0);
    publisher.send_all(&[frames::video_header(1), frame.clone()]);
    let mut viewer = origin.watch("r");
    viewer.frames_until(&frame);
    let mut node = origin.pull("r");
    node.frames_until(&frame);
    publisher.unpublish();
    assert_eq!(node.frames_to_the_end(), []);
    let mut again = origin.publish_when_free("r");
    again.send_all(&[frames::video_header(2), frames::keyframe(0, 1)]);
    viewer.frames_until(&frames::keyframe(0, 1));
}

#[test]
fn the_log_names_pulls_as_such() {
    let server = TestServer::start(&["--cluster-secret", CLUSTER_SECRET]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let frame = frames::keyframe(0, 0);
    publisher.send_all(&[frames::video_header(1), frame.clone()]);
    let mut socket = dial(server.http);
    socket.write_all(pull_request("r").as_bytes()).expect("the server takes the request");
    FlvViewer::of(socket).frames_until(&frame);
    server.wait_for_viewer_leaving("r", "pull");
}

#[test]
fn a_stranger_that_calls_itself_a_node_gets_nothing() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    for request in [STRANGER, pull_request("r").as_bytes()] {
        let refused = exchange(server.http, request);
        assert_eq!(refused.status, 403);
        assert_eq!(refused.json()["error"], "not_a_node");
    }
}

#[test]
fn a_room_without_a_publisher_is_404() {
    let cluster = TestCluster::default();
    let node = cluster.node("n1", &[]);
    let refused = request(node.http, "GET", "/r.flv");
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("room_not_live"), "{}", refused.text());
}

#[test]
fn a_room_whose_node_cannot_be_reached_is_503() {
    let cluster = TestCluster::default();
    let node = cluster.node("n1", &[]);
    let nowhere = "127.0.0.1:1".to_owned();
    cluster.claims.join("n2", NodeAddresses { rtmp: nowhere.clone(), httpflv: nowhere, hls: None });
    cluster.claims.claim("n2", "r");
    let refused = request(node.http, "GET", "/r.flv");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.text().contains("origin_unreachable"), "{}", refused.text());
}
