//! While Redis is away, or cannot be reached, a room that a node pulls goes on there as it does where it is published.

use std::time::Duration;

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::{FlvViewer, Next},
    frames,
    redis::{Redis, RedisProxy},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::{PATIENCE, now, poll_until},
};

use crate::{SHORT_LEASE, SHORT_LEASE_TTL, node};

/// From frame to frame.
const INTERVAL: Duration = Duration::from_millis(100);

/// A node looks for its origin when nothing has come from it for 3 s.
const SILENCE: Duration = Duration::from_secs(4);

/// A publisher, and viewers that miss nothing.
struct Broadcast {
    publisher: RtmpPeer,
    viewers: Vec<FlvViewer>,
    next: u32,
}

impl Broadcast {
    fn start(origin: &TestServer, watched_on: &[&TestServer]) -> Self {
        let mut publisher = RtmpPeer::publish(origin, "r");
        publisher.send_all(&frames::video_headers());
        let first = frames::keyframe(0, 0);
        publisher.send(&first);
        let open = |server: &&TestServer| {
            let mut viewer = poll_until("the room is there", || FlvViewer::try_open(server, "r").ok());
            viewer.frames_until(&first);
            viewer
        };
        Self { publisher, viewers: watched_on.iter().map(open).collect(), next: 1 }
    }

    /// Sends the next frame and waits until every viewer has it.
    fn step(&mut self) -> Frame {
        let sent = frames::keyframe(self.next * INTERVAL.as_millis() as u32, self.next);
        self.next += 1;
        self.publisher.send(&sent);
        for viewer in &mut self.viewers {
            let Next::Frame(came) = viewer.next(PATIENCE) else {
                panic!("frame {} does not come", self.next - 1)
            };
            // A stream's times begin anew on a node that joins it late.
            assert_eq!(came.payload, sent.payload);
        }
        sent
    }

    /// Goes on, frame by frame, for longer than a lease.
    fn outlast_a_lease(&mut self) {
        let began = now();
        while began.elapsed() < 2 * SHORT_LEASE_TTL {
            self.step();
        }
    }
}

fn wait_for_outage(server: &TestServer) {
    server.log.find("the outage", |line| line.mentions("registry unreachable"));
}

#[test]
fn when_redis_is_killed_and_comes_back_empty() {
    let mut redis = Redis::start(&[]);
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &SHORT_LEASE));
    let mut broadcast = Broadcast::start(&n1, &[&n1, &n2]);
    redis.kill();
    wait_for_outage(&n1);
    broadcast.outlast_a_lease();

    redis.start_again();
    let mut newcomer = poll_until("a node opens the room anew", || FlvViewer::try_open(&n3, "r").ok());
    let sent = broadcast.step();
    newcomer.frames_until(&sent);
    broadcast.viewers.push(newcomer);
    broadcast.outlast_a_lease();
    assert_eq!(n2.log.count(|line| line.says("pull broke", "r")), 0);
}

#[test]
fn when_the_node_that_pulls_is_cut_off_from_redis() {
    let redis = Redis::start(&[]);
    let proxy = RedisProxy::start(redis.address());
    let (n1, n2) = (node("n1", &redis.url(), &[]), node("n2", &proxy.url(), &SHORT_LEASE));
    let mut broadcast = Broadcast::start(&n1, &[&n2]);
    proxy.cut();
    wait_for_outage(&n2);
    broadcast.outlast_a_lease();
    proxy.mend();
    n2.log.find("the end of the outage", |line| line.text("msg") == "registry reachable again");
    broadcast.outlast_a_lease();
    assert_eq!(n2.log.count(|line| line.says("pull broke", "r")), 0);
}

#[test]
fn when_the_publisher_pauses_as_well() {
    let mut redis = Redis::start(&[]);
    let [n1, n2] = ["n1", "n2"].map(|id| node(id, &redis.url(), &SHORT_LEASE));
    let mut broadcast = Broadcast::start(&n1, &[&n1, &n2]);
    redis.kill();
    wait_for_outage(&n1);
    // For longer than a node waits before it looks whether the room is still where it was.
    assert_eq!(broadcast.viewers[1].next(SILENCE), Next::Nothing);
    broadcast.step();
    redis.start_again();
    broadcast.outlast_a_lease();
    assert_eq!(n2.log.count(|line| line.says("pull broke", "r")), 0);
}
