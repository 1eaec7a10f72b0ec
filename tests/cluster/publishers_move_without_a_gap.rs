//! A publisher that takes reconnect requests (E-RTMP v2) is asked to publish on a new connection, while the old one lasts: no
//! viewer on any node misses a frame.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::{FlvViewer, coded},
    frames,
    redis::Redis,
    rtmp::{Client, RtmpPeer},
    server::TestServer,
    socket::dial,
};

use crate::{LONG_LEASE, node};

fn publish(server: &TestServer) -> RtmpPeer {
    let client = Client::publisher("live", "r?key=own").taking_reconnect_requests();
    RtmpPeer::start(dial(server.rtmp), client).expect("the room is its own")
}

/// Inter frames with these numbers, of a clock that goes on.
fn inter(numbers: std::ops::Range<u32>) -> Vec<Frame> {
    numbers.map(|number| frames::inter(number * 40, number)).collect()
}

#[test]
fn all_viewers_see_every_frame_of_it() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--drain-timeout-s", "600"]].concat();
    let nodes = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &flags));
    let mut before = publish(&nodes[0]);
    before.send_all(&frames::video_headers());
    let mut sent = vec![frames::keyframe(0, 0)];
    before.send(&sent[0]);
    let mut viewers = nodes.each_ref().map(|server| FlvViewer::open(server, "r"));
    let mut seen: Vec<Vec<Frame>> = viewers.iter_mut().map(|viewer| coded_until(viewer, &sent[0])).collect();

    nodes[0].signal("TERM");
    before.wait_for_status("NetConnection.Connect.ReconnectRequest");
    assert_eq!(before.sent_to, None, "no node has an address of its own");
    let mut after = publish(&nodes[1]);
    let refused = RtmpPeer::try_publish(&nodes[2], "r").expect_err("it has the room");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    after.send_all(&frames::video_headers());
    let last = inter(1..50);
    before.send_all(&last);
    sent.extend(last);
    for (viewer, seen) in viewers.iter_mut().zip(&mut seen) {
        seen.extend(coded_until(viewer, &sent[49]));
    }

    let next = frames::keyframe(2_000, 50);
    after.send(&next);
    before.unpublish();
    sent.push(next.clone());
    let further = inter(51..60);
    after.send_all(&further);
    sent.extend(further);
    for (viewer, seen) in viewers.iter_mut().zip(&mut seen) {
        seen.extend(coded_until(viewer, &sent[59]));
        assert_eq!(frames::payloads(&*seen), frames::payloads(&sent));
        frames::assert_never_back(seen);
    }
}

fn coded_until(viewer: &mut FlvViewer, last: &Frame) -> Vec<Frame> {
    coded(&viewer.frames_until(last), synctv_media::stream::frame::Track::Video)
}
