//! However many rooms there are, no more have series of their own than may.

use synctv_testkit::{metrics::Scrape, rtmp::RtmpPeer};

use crate::server;

const ROOMS: usize = 1500;

/// Maximum size of a scrape, in bytes.
const SCRAPE_MAX_BYTES: usize = 64 * 1024;

#[test]
fn with_fifteen_hundred_rooms() {
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files is raised");
    // The first publisher is silent until the last one has come.
    let patient = ["--publisher-timeout-s", "600"];
    let server = server(&[&patient[..], &["--metrics-rooms", "100", "--max-rooms", "2000"]].concat());
    let publishers: Vec<_> = (0..ROOMS).map(|at| RtmpPeer::publish(&server, &format!("room-{at}"))).collect();
    let scrape = Scrape::when(server.metrics(), r#"synctv_rooms{state="published"}"#, ROOMS as f64);
    for name in
        ["room_up", "room_viewers", "room_ingest_bytes_total", "room_sent_bytes_total", "room_skips_total"]
    {
        assert_eq!(scrape.samples(&format!("synctv_{name}")).len(), 101, "{name}");
    }
    assert_eq!(scrape.value(r#"synctv_room_up{room="room-0"}"#), 1.0, "the first that came");
    assert_eq!(scrape.value(r#"synctv_room_up{room="other"}"#), 1.0);
    let size_bytes = synctv_testkit::http::request(server.metrics(), "GET", "/metrics").body.len();
    assert!(size_bytes <= SCRAPE_MAX_BYTES, "{size_bytes}");
    drop(publishers);
}

#[test]
fn and_none_has_any_by_default() {
    let server = server(&[]);
    let _publisher = RtmpPeer::publish(&server, "r");
    let scrape = Scrape::when(server.metrics(), r#"synctv_rooms{state="published"}"#, 1.0);
    assert!(scrape.names().keys().all(|name| !name.starts_with("synctv_room_")));
    assert!(scrape.names().values().flatten().all(|label| *label != "room"));
}
