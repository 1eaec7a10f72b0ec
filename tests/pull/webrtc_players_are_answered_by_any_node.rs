//! A WebRTC player gets its session from the node that it asks, also if the room is published on another one.

use synctv_testkit::{
    frames,
    nodes::TestCluster,
    whep::{OFFER, SDP, post},
};

#[test]
fn the_answer_offers_the_nodes_own_address() {
    let cluster = TestCluster::default();
    let origin = cluster.node("n1", &[]);
    let edge = cluster.node("n2", &["--rtc-addr", "127.0.0.1:0", "--rtc-hosts", "192.0.2.2"]);
    let mut publisher = origin.publish("r");
    publisher.send_all(&frames::video_headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(40, 1)]);
    origin.watch("r").frames_until(&frames::inter(40, 1));
    let answer = post(edge.http, "/r/whep", &[SDP], OFFER);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(answer.text().contains("192.0.2.2"), "{}", answer.text());
}
