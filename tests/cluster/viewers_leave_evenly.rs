//! The viewers of a node that drains stay for half of their time, and leave evenly over the other half, each with an end in
//! good order, and with notice before if they asked for it.

use std::time::Duration;

use synctv_media::{
    flv::moving,
    rtmp::amf0::{self, Value},
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    redis::Redis,
    rtmp::{Client, RtmpPeer},
    socket::dial,
    wait::now,
};

use crate::{LONG_LEASE, node};

const VIEWERS: usize = 40;

#[test]
fn over_http_flv_and_rtmp() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--drain-timeout-s", "20"]].concat();
    let n1 = node("n1", &redis.url(), &flags);
    let reachable = [&flags[..], &["--advertise-rtmp-url", "rtmp://n2.test/live"]].concat();
    let n2 = node("n2", &redis.url(), &reachable);
    let mut publisher = RtmpPeer::publish(&n2, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    let mut viewers: Vec<FlvViewer> = (0..VIEWERS).map(|_| FlvViewer::open(&n1, "r")).collect();
    let mut player = RtmpPeer::play(&n1, "r");
    let asked = Client::player("live?key=1", "r").taking_reconnect_requests();
    let mut asked = RtmpPeer::start(dial(n1.rtmp), asked).expect("the room is live");
    let mut noticed = FlvViewer::open_on(dial(n1.http), "/r.flv?moves=1");
    viewers.iter_mut().for_each(|viewer| drop(viewer.frames_until(&frames::keyframe(0, 1))));
    noticed.frames_until(&frames::keyframe(0, 1));
    player.frames_until(&frames::keyframe(0, 1));

    let begin = now();
    n1.signal("TERM");
    let mut ends = Vec::new();
    for viewer in &mut viewers {
        assert_eq!(viewer.frames_to_the_end().iter().find_map(moves_after_ms), None, "it did not ask");
        assert!(viewer.is_ended(), "in good order");
        ends.push(begin.elapsed());
    }
    assert_eq!(noticed.frames_to_the_end().iter().find_map(moves_after_ms), Some(3_000.0));
    assert!(noticed.is_ended(), "in good order");
    player.wait_for_status("NetStream.Play.Stop");
    asked.wait_for_status("NetConnection.Connect.ReconnectRequest");
    assert_eq!(asked.sent_to.as_deref(), Some("rtmp://n2.test/live?key=1"));
    assert!(!asked.statuses.iter().any(|code| code == "NetStream.Play.Stop"), "it is asked before");
    assert!(ends[0] >= Duration::from_secs(10), "it had half of the time: {ends:?}");
    assert!(ends[VIEWERS - 1] - ends[0] >= Duration::from_secs(1), "not all at once: {ends:?}");
    let left = |line: &synctv_testkit::log_book::LogLine| {
        line.says("viewer disconnected", "r") && line.text("why") == "node is draining, retry"
    };
    let log = n1.log.clone();
    assert_eq!(n1.wait_for_exit().code(), Some(0));
    log.find("drain finished", |line| line.text("msg") == "drain finished");
    assert!(log.count(left) > VIEWERS);
}

/// The milliseconds that a notice gives.
fn moves_after_ms(frame: &Frame) -> Option<f64> {
    let values = amf0::read_all(&frame.payload).ok().filter(|_| frame.track == Track::Data)?;
    let [name, notice] = &values[..] else { return None };
    (name.as_str() == Some(moving::NAME)).then(|| notice.get(moving::AFTER_MS).and_then(Value::as_number))?
}
