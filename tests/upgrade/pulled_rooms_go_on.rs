//! Viewers of a room that another node publishes keep their connections, and no frame comes twice or is missing.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{flv::FlvViewer, frames, redis::Redis, rtmp::RtmpPeer};

use crate::installed::Installed;

fn frame(number: u32) -> Frame {
    let at_ms = number * 40;
    if number.is_multiple_of(10) { frames::keyframe(at_ms, number) } else { frames::inter(at_ms, number) }
}

#[test]
fn the_pull_goes_on_where_it_was() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("ADVERTISE_HOST", "127.0.0.1")];
    let mut n1 = Installed::start(&["--node-id", "n1"], &variables);
    let mut n2 = Installed::start(&["--node-id", "n2"], &variables);
    let mut publisher = RtmpPeer::publish(&n1.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frame(0));
    let mut viewer = FlvViewer::open(&n2.server, "r");
    let mut seen = viewer.frames_until(&frame(0));
    let mut number = 0;
    for _ in 0..3 {
        // One by one: a keyframe that meets the new connection would be its beginning, as it is for every new viewer.
        for _ in 0..7 {
            number += 1;
            publisher.send(&frame(number));
            seen.extend(viewer.frames_until(&frame(number)));
        }
        n2.upgrade();
    }
    number += 1;
    publisher.send(&frame(number));
    seen.extend(viewer.frames_until(&frame(number)));
    let seen: Vec<Frame> = seen.into_iter().filter(frames::is_coded).collect();
    assert_eq!(frames::payloads(&seen), frames::payloads(&(0..=number).map(frame).collect::<Vec<_>>()));
    frames::assert_never_back(&seen);
    n1.server.assert_unhurt();
    n2.server.assert_unhurt();
}
