//! Publishers that go to another node are counted where they leave: moved by a drain, or taken over.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    metrics::Scrape,
    redis::Redis,
    rtmp::{Client, RtmpPeer},
    server::{TestServer, program},
    socket::dial,
    wait::poll_until,
};

/// Starts a node with metrics and a lease of so many milliseconds.
fn node(id: &str, redis: &Redis, lease_ms: u32) -> TestServer {
    let mut command = program();
    command.env("NODE_ID", id).env("REDIS_URL", redis.url()).env("PUBLISHER_TIMEOUT_S", "60");
    command.env("LEASE_TTL_MS", lease_ms.to_string()).env("PUBLISHER_GRACE_S", "60");
    command.args(["--metrics-addr", "127.0.0.1:0", "--drain-timeout-s", "600"]);
    TestServer::of(command)
}

/// Publishes a room that its publisher is recognised in, with a first frame.
fn publish(server: &TestServer, room: &str, takes_requests: bool) -> RtmpPeer {
    let client = Client::publisher("live", &format!("{room}?key=own"));
    let client = if takes_requests { client.taking_reconnect_requests() } else { client };
    let mut publisher = RtmpPeer::start(dial(server.rtmp), client).expect("the room is its own");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    publisher
}

#[test]
fn moved_by_a_drain() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis, 60_000), node("n2", &redis, 60_000));
    let asked = publish(&n1, "asked", true);
    let closed = publish(&n1, "closed", false);
    let unwatched = publish(&n1, "unwatched", false);
    let mut viewers = ["asked", "closed"].map(|room| FlvViewer::open(&n1, room));
    viewers.iter_mut().for_each(|viewer| drop(viewer.frames_until(&frames::keyframe(0, 0))));
    n1.signal("TERM");
    let mut again = ["closed", "unwatched"].map(|room| {
        n1.wait_for_publisher_leaving(room);
        publish(&n2, room, false)
    });
    let mut asked = asked;
    asked.wait_for_status("NetConnection.Connect.ReconnectRequest");
    let mut follower = publish(&n2, "asked", true);
    asked.unpublish();
    follower.send(&frames::keyframe(2_000, 1));
    again[0].send(&frames::keyframe(2_000, 1));
    let moved =
        |how: &str, outcome: &str| format!("synctv_moves_total{{how=\"{how}\",outcome=\"{outcome}\"}}");
    let [closed_moved, asked_moved, alone] =
        [moved("close", "moved"), moved("request", "moved"), moved("close", "unwatched")];
    let here = [
        (&*closed_moved, 1.0),
        (&*asked_moved, 1.0),
        (&*alone, 1.0),
        ("synctv_move_gap_seconds_count", 2.0),
        (r#"synctv_publisher_ends_total{why="draining"}"#, 2.0),
        (r#"synctv_pull_opens_total{outcome="ok"}"#, 2.0),
        ("synctv_draining", 1.0),
    ];
    let scrape = Scrape::when_all(n1.metrics(), &here);
    assert_eq!(scrape.value(&moved("close", "expired")) + scrape.value(&moved("request", "expired")), 0.0);
    // Nodes are no viewers.
    let there = [
        (r#"synctv_publishes_total{outcome="accepted"}"#, 3.0),
        (r#"synctv_viewer_joins_total{protocol="pull",outcome="accepted"}"#, 2.0),
        (r#"synctv_viewers{protocol="http-flv"}"#, 0.0),
    ];
    Scrape::when_all(n2.metrics(), &there);
    drop((closed, unwatched));
}

#[test]
fn taken_over_while_their_node_slept() {
    let redis = Redis::start(&[]);
    let (n1, n2) = (node("n1", &redis, 1_500), node("n2", &redis, 6_000));
    let _first = RtmpPeer::publish(&n1, "r");
    n1.signal("STOP");
    let _second = poll_until("the room is free", || RtmpPeer::try_publish(&n2, "r").ok());
    n1.signal("CONT");
    n1.wait_for_publisher_leaving("r");
    let expected = [
        (r#"synctv_publisher_ends_total{why="taken_over"}"#, 1.0),
        ("synctv_claims_lost_total", 1.0),
        ("synctv_claims", 0.0),
    ];
    let scrape = Scrape::when_all(n1.metrics(), &expected);
    assert!(scrape.value("synctv_registry_lease_age_seconds") >= 0.0);
    let busy = Scrape::of(n2.metrics()).value(r#"synctv_publishes_total{outcome="busy"}"#);
    assert!(busy >= 1.0, "the lease lasted for a while");
}
