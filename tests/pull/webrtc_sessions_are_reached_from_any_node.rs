//! A request about a WebRTC session reaches the node that has it, whichever node gets it from a balancer.

use synctv_actors::cluster::origin::NodeAddresses;
use synctv_testkit::{
    frames,
    http::request,
    nodes::TestCluster,
    whep::{OFFER, SDP, post, send},
};

/// Addresses at which nothing answers.
fn nowhere() -> NodeAddresses {
    let port = || "127.0.0.1:1".to_owned();
    NodeAddresses { rtmp: port(), httpflv: port(), hls: None }
}

const WEBRTC: [&str; 2] = ["--rtc-addr", "127.0.0.1:0"];

#[test]
fn another_node_passes_them_on() {
    let cluster = TestCluster::default();
    let (one, other) = (cluster.node("n1", &WEBRTC), cluster.node("n2", &WEBRTC));
    let mut publisher = one.publish("r");
    publisher.send_all(&frames::video_headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(40, 1)]);
    one.watch("r").frames_until(&frames::inter(40, 1));
    for (asked, passing) in [(&one, &other), (&other, &one)] {
        let answer = post(asked.http, "/live/r/whep", &[SDP], OFFER);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let (location, tag) = (answer.header("location"), answer.header("etag"));
        let patch = |tag: &str| {
            let headers = [("Content-Type", "application/trickle-ice-sdpfrag"), ("If-Match", tag)];
            send(passing.http, "PATCH", location, &headers, "a=end-of-candidates").status
        };
        assert_eq!((patch(tag), patch("\"other\"")), (204, 412));
        assert_eq!(
            request(passing.http, "DELETE", &location.replace("/r/", "/s/")).json()["error"],
            "no_session"
        );
        assert_eq!(request(passing.http, "DELETE", location).status, 200);
    }
}

#[test]
fn a_node_that_does_not_answer_or_is_not_there_is_named() {
    let cluster = TestCluster::default();
    let node = cluster.node("n1", &WEBRTC);
    let path = |name: &str| format!("/r/whep/{}-{name}", "0".repeat(32));
    // Before the first request: the list of nodes may be a second old.
    cluster.claims.join("n2", nowhere());
    assert_eq!(request(node.http, "DELETE", &path("n9")).json()["error"], "no_session");
    assert_eq!(request(node.http, "DELETE", &path("n2")).status, 502);
}
