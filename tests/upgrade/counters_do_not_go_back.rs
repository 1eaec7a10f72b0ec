//! Counters go on from the values of the last scrape: an upgrade ends and begins nothing that is counted. Gauges show the present.

use synctv_testkit::{flv::FlvViewer, frames, metrics::Scrape, rtmp::RtmpPeer, tls::TestAuthority};

use crate::installed::Installed;

/// Counts of beginnings and ends: connections that stay have neither.
const STAYS: [&str; 5] = [
    "synctv_viewer_joins_total",
    "synctv_viewer_leaves_total",
    "synctv_publishes_total",
    "synctv_publisher_ends_total",
    "synctv_first_frame_seconds_count",
];

const GAUGES: [&str; 7] = [
    r#"synctv_viewers{protocol="http-flv"}"#,
    r#"synctv_viewers{protocol="rtmp"}"#,
    r#"synctv_connections{port="rtmp"}"#,
    r#"synctv_rooms{state="published"}"#,
    r#"synctv_room_viewers{room="r"}"#,
    "synctv_claims",
    // It is the same process, whose counters have gone on since then.
    "process_start_time_seconds",
];

fn is_counter(sample: &str) -> bool {
    let name = sample.split('{').next().unwrap_or_default();
    ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
}

fn assert_goes_on(before: &Scrape, after: &Scrape) {
    for (sample, value) in before.all().filter(|(sample, _)| is_counter(sample)) {
        let now = after.value(sample);
        assert!(now >= value, "{sample} was {value}, and is {now}");
        let is_stay = STAYS.iter().any(|name| sample.split('{').next() == Some(name));
        assert!(now == value || !is_stay, "{sample} was {value}, and is {now}: no one came or left");
    }
    for gauge in GAUGES {
        assert_eq!(after.value(gauge), before.value(gauge), "{gauge}");
    }
}

#[test]
fn over_upgrades_and_one_that_fails() {
    let authority = TestAuthority::new();
    let tls = authority.flags();
    let mut flags: Vec<&str> = tls.iter().map(String::as_str).collect();
    flags.extend(["--metrics-addr", "127.0.0.1:0", "--metrics-rooms", "1"]);
    let mut installed = Installed::start(&flags, &[]);
    let metrics = installed.server.metrics();
    drop(authority.dial(installed.server.tls()));
    let mut publishers = ["r", "s", "t"].map(|room| RtmpPeer::publish(&installed.server, room));
    for publisher in &mut publishers {
        publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    }
    let mut viewers = ["r", "r", "s", "t"].map(|room| FlvViewer::open(&installed.server, room));
    let mut player = RtmpPeer::play(&installed.server, "r");
    viewers.iter_mut().for_each(|viewer| drop(viewer.frames_until(&frames::keyframe(0, 0))));
    player.frames_until(&frames::keyframe(0, 0));
    FlvViewer::try_open(&installed.server, "nothing").expect_err("there is no such room");
    // Bytes sent to viewers are counted once a second.
    let first_frames = r#"synctv_first_frame_seconds_count{protocol="http-flv"}"#;
    Scrape::when(metrics, first_frames, 4.0);
    let mut before = Scrape::when(metrics, r#"synctv_tls_handshakes_total{outcome="completed"}"#, 1.0);
    for sample in [
        "synctv_ingest_bytes_total",
        "synctv_tls_handshake_seconds_count",
        r#"synctv_ingest_frames_total{track="video"}"#,
        r#"synctv_auth_decisions_total{action="play",outcome="granted"}"#,
        r#"synctv_viewer_joins_total{protocol="http-flv",outcome="not_live"}"#,
        r#"synctv_room_ingest_bytes_total{room="other"}"#,
        r#"synctv_log_lines_total{level="info"}"#,
    ] {
        assert!(before.value(sample) > 0.0, "{sample}");
    }
    for number in 1..=3 {
        if number == 3 {
            installed.replace_with_script("rm \"$0\"; exit 0");
            installed.upgrade_in_vain();
            installed.server.log.find("all resumed", |line| line.text("msg") == "connections resumed");
        } else {
            installed.upgrade();
        }
        let inter = frames::inter(number * 40, number);
        publishers.iter_mut().for_each(|publisher| publisher.send(&inter));
        viewers.iter_mut().for_each(|viewer| drop(viewer.frames_until(&inter)));
        player.frames_until(&inter);
        let after = Scrape::when(metrics, GAUGES[2], before.value(GAUGES[2]));
        assert_goes_on(&before, &after);
        let bytes = "synctv_ingest_bytes_total";
        assert!(after.value(bytes) > before.value(bytes), "it counts");
        before = after;
    }
    installed.server.assert_unhurt();
}
