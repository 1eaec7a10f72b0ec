//! Reports for `EVENTS_URL` that are not delivered when the program changes are delivered by the next one: in order, under the same
//! ids, each at least once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use synctv_testkit::{flv::FlvViewer, frames, rtmp::RtmpPeer, service::Service, wait::poll_until};

use crate::installed::Installed;

#[test]
fn to_a_receiver_that_does_not_answer_meanwhile() {
    let answers = Arc::new(AtomicBool::new(false));
    let is_up = answers.clone();
    let receiver = Service::start(move |_| is_up.load(Ordering::Relaxed).then(|| (200, String::new())));
    let mut installed = Installed::start(&["--events-url", &receiver.url()], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    watch(&installed, 1);
    poll_until("the first report, which is under way from here on", || receiver.asked().pop());
    // One that fails keeps them as well.
    installed.replace_with_script("rm \"$0\"; exit 0");
    installed.upgrade_in_vain();
    installed.replace_with_script("exec PROGRAM \"$@\"");
    installed.upgrade();
    watch(&installed, 2);
    answers.store(true, Ordering::Relaxed);
    publisher.unpublish();
    let is_last = |report: &Value| report["event"] == "unpublish";
    let reports = poll_until("all reports", || Some(receiver.asked()).filter(|all| all.iter().any(is_last)));
    let numbers: Vec<u64> = reports.iter().filter_map(|report| report["number"].as_u64()).collect();
    assert!(numbers.is_sorted(), "in order, also those that came again: {numbers:?}");
    let mut once = reports.clone();
    once.dedup_by_key(|report| report["id"].as_str().map(str::to_owned));
    let kinds: Vec<_> = once.iter().filter_map(|report| report["event"].as_str()).collect();
    assert_eq!(kinds, ["publish", "play", "stop", "play", "stop", "unpublish"]);
    let process = |report: &Value| Some(report["id"].as_str()?.split_once('-')?.0.to_owned());
    assert!(once.iter().all(|report| process(report) == process(&once[0])), "{once:?}");
    installed.server.assert_unhurt();
}

/// Connects and disconnects the `nth` viewer.
fn watch(installed: &Installed, nth: usize) {
    FlvViewer::open(&installed.server, "r").frames_until(&frames::keyframe(0, 0));
    installed.server.log.find_nth(nth, "the viewer leaves", |line| line.says("viewer disconnected", "r"));
}
