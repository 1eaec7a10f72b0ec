//! Segments that were just listed are there for as long as players may want them (RFC 8216, section 6.2.2), on every node,
//! also when the room has moved meanwhile.

use synctv_testkit::{
    flv,
    http::request,
    redis::Redis,
    tools::{Media, media_file},
    wait::poll_until,
};

use crate::{hls_node::HlsNode, publish_when_free};

fn listed(node: &HlsNode) -> Vec<String> {
    let playlist = poll_until("segments", || Some(node.playlist()).filter(|it| it.segments.len() >= 2));
    playlist.segments.into_iter().map(|entry| entry.uri).collect()
}

fn assert_all_are_there(nodes: &[HlsNode], segments: &[String]) {
    for (at, node) in nodes.iter().enumerate() {
        for segment in segments {
            assert_eq!(node.get(segment).status, 200, "{segment} of {segments:?} over node {at}");
        }
    }
}

#[test]
fn to_another_node_and_on() {
    let redis = Redis::start(&[]);
    let nodes = ["n1", "n2", "n3"].map(|id| HlsNode::start_with(id, &redis, &["--publisher-grace-s", "20"]));
    let frames = flv::read_file(media_file(Media::AudioVideo));
    let mut all = Vec::new();
    for at in [0, 1, 2, 0] {
        let mut publisher = publish_when_free(&nodes[at].server, "r");
        assert_all_are_there(&nodes, &all);
        publisher.send_all(&frames);
        all.extend(listed(&nodes[at]));
        assert_all_are_there(&nodes, &all);
        publisher.unpublish();
        assert_all_are_there(&nodes, &all);
    }
    let unknown = nodes[2].get("seg-7.ts");
    assert_eq!(unknown.status, 404, "{}", unknown.text());
}

#[test]
fn from_a_node_that_drains() {
    let redis = Redis::start(&[]);
    let nodes = ["n1", "n2", "n3"].map(|id| HlsNode::start_with(id, &redis, &["--drain-timeout-s", "30"]));
    let frames = flv::read_file(media_file(Media::AudioVideo));
    let mut publisher = publish_when_free(&nodes[0].server, "r");
    publisher.send_all(&frames);
    let segments = listed(&nodes[2]);
    // A connection that is open keeps the node there for as long as it may stay.
    let _viewer = std::net::TcpStream::connect(nodes[0].server.hls().address()).expect("the node listens");
    nodes[0].server.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    let _publisher = publish_when_free(&nodes[1].server, "r");
    assert_all_are_there(&nodes[1..], &segments);
}

#[test]
fn a_room_whose_node_has_no_hls_is_not_called_absent() {
    let redis = Redis::start(&[]);
    let without = crate::node("n1", &redis.url(), &["--hls", "off"]);
    let with = HlsNode::start("n2", &redis);
    let _live = publish_when_free(&without, "r");
    let answer = with.get("index.m3u8");
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert!(answer.text().contains("hls_off") && answer.text().contains("node n1"), "{}", answer.text());
    assert_eq!(with.get("seg-7.ts").status, 404);
    assert_eq!(request(with.server.http, "GET", "/api/v1/streams/r").status, 200);
}
