//! Other nodes and Redis see nothing of an upgrade.

use synctv_testkit::{flv::FlvViewer, frames, redis::Redis, rtmp::RtmpPeer};

use crate::installed::Installed;

#[test]
fn a_node_keeps_its_rooms_and_other_nodes_pull_on() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("ADVERTISE_HOST", "127.0.0.1")];
    let mut n1 = Installed::start(&["--node-id", "n1"], &variables);
    let n2 = Installed::start(&["--node-id", "n2"], &variables);
    let mut publisher = RtmpPeer::publish(&n1.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    let mut viewer = FlvViewer::open(&n2.server, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    let claim = redis.ask(&["HGETALL", "stream:r"]);
    let node = redis.ask(&["HGETALL", "node:n1"]);
    for number in 2..4 {
        n1.upgrade();
        publisher.send(&frames::inter(number * 40, number));
        viewer.frames_until(&frames::inter(number * 40, number));
    }
    assert_eq!(redis.ask(&["HGETALL", "stream:r"]), claim);
    assert_eq!(redis.ask(&["HGETALL", "node:n1"]), node);
    assert_eq!(n2.server.log.count(|line| line.text("msg") == "pull broke"), 0);
    let lost = |line: &synctv_testkit::log_book::LogLine| line.text("msg").contains("claim");
    assert_eq!(n1.server.log.count(lost), 0, "{:?}", n1.server.log.lines());
    let refused = RtmpPeer::try_publish(&n2.server, "r").expect_err("the room is taken");
    assert!(refused.description.contains("publishes this room"), "{refused:?}");
    n1.server.assert_unhurt();
}
