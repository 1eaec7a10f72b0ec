//! Publishers and viewers are reported when they begin and when they end, again until the report was taken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use synctv_testkit::{flv::FlvViewer, frames, server::TestServer, service::Service, wait::poll_until};

use crate::publish;

#[test]
fn beginnings_and_ends_are_reported_in_order() {
    let failures = Arc::new(AtomicUsize::new(1));
    let left = failures.clone();
    let receiver = Service::start(move |_| {
        let fails =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        Some((if fails { 500 } else { 200 }, String::new()))
    });
    let server = TestServer::start(&["--events-url", &receiver.url(), "--node-id", "n1"]);
    let mut publisher = publish(&server, "r?x=1").expect("anyone may publish");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    drop(viewer);
    server.wait_for_viewer_leaving("r", "http-flv");
    publisher.unpublish();
    let events = poll_until("all events", || Some(receiver.asked()).filter(|events| events.len() >= 5));
    let named: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(named, ["publish", "publish", "play", "stop", "unpublish"], "the first was refused once");
    assert_eq!(events[0]["id"], events[1]["id"]);
    let numbers: Vec<_> = events[1..].iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    for event in &events {
        assert_eq!((event["room"].as_str(), event["node"].as_str()), (Some("r"), Some("n1")));
        assert!(!event.to_string().contains("x=1"), "{event}");
    }
}
