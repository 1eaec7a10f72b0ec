//! Viewers of a room that another node publishes keep their connections, and no frame comes twice or is missing, whichever
//! of the two nodes is upgraded.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    log_book::LogLine,
    redis::Redis,
    room_history::{FrameSource, frames_until},
    rtmp::RtmpPeer,
};

use crate::installed::Installed;

const UPGRADES: u32 = 3;

/// Frames before an upgrade, and those that are sent while it is under way: some upgrades meet a keyframe.
const BEFORE: u32 = 6;
const MEANWHILE: u32 = 5;

fn frame(number: u32) -> Frame {
    let at_ms = number * 40;
    if number.is_multiple_of(10) { frames::keyframe(at_ms, number) } else { frames::inter(at_ms, number) }
}

/// A room published on one node and pulled by another, which has the viewers.
struct Edge {
    redis: Redis,
    origin: Installed,
    edge: Installed,
    publisher: RtmpPeer,
    viewer: (FlvViewer, Vec<Frame>),
    player: (RtmpPeer, Vec<Frame>),
    sent: u32,
}

impl Edge {
    fn start() -> Self {
        let redis = Redis::start(&[]);
        let url = redis.url();
        let variables = [("REDIS_URL", url.as_str()), ("ADVERTISE_HOST", "127.0.0.1")];
        let origin = Installed::start(&["--node-id", "n1"], &variables);
        let edge = Installed::start(&["--node-id", "n2"], &variables);
        let mut publisher = RtmpPeer::publish(&origin.server, "r");
        publisher.send_all(&frames::video_headers());
        publisher.send(&frame(0));
        let mut viewer = FlvViewer::open(&edge.server, "r");
        let mut player = RtmpPeer::play(&edge.server, "r");
        let viewer_saw = viewer.frames_until(&frame(0));
        let player_saw = player.frames_until(&frame(0));
        let (viewer, player) = ((viewer, viewer_saw), (player, player_saw));
        Self { redis, origin, edge, publisher, viewer, player, sent: 0 }
    }

    /// Sends the next frames without a pause.
    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.sent += 1;
            self.publisher.send(&frame(self.sent));
        }
    }

    /// Upgrades a node in the middle of frames, and waits for these.
    fn upgrade(&mut self, of: fn(&mut Self) -> &mut Installed) {
        self.send(BEFORE);
        of(self).server.signal("USR2");
        self.send(MEANWHILE);
        of(self).wait_until_upgraded();
        read(&mut self.viewer, self.sent);
        read(&mut self.player, self.sent);
    }

    fn assert_nothing_was_noticed(mut self) {
        let sent = frames::payloads(&(0..=self.sent).map(frame).collect::<Vec<_>>());
        for (what, seen) in [("HTTP-FLV", self.viewer.1), ("RTMP", self.player.1)] {
            let coded: Vec<Frame> = seen.into_iter().filter(frames::is_coded).collect();
            assert_eq!(frames::payloads(&coded), sent, "{what}");
            let steps = coded.windows(2).map(|two| two[1].timestamp_ms - two[0].timestamp_ms);
            assert!(steps.clone().all(|step_ms| step_ms == 40), "{what}: {:?}", steps.collect::<Vec<_>>());
        }
        let pulls = self.edge.server.log.count(|line: &LogLine| line.text("msg") == "pull began");
        assert_eq!(pulls, 1, "the connection between the nodes stays");
        assert_eq!(self.redis.rooms(), ["stream:r"]);
        self.origin.server.assert_unhurt();
        self.edge.server.assert_unhurt();
    }
}

fn read<V: FrameSource>((viewer, seen): &mut (V, Vec<Frame>), number: u32) {
    seen.extend(frames_until(viewer, &frame(number)));
}

#[test]
fn the_node_that_pulls_is_upgraded() {
    let mut room = Edge::start();
    for _ in 0..UPGRADES {
        room.upgrade(|room| &mut room.edge);
    }
    room.assert_nothing_was_noticed();
}

#[test]
fn the_node_that_is_pulled_from_is_upgraded() {
    let mut room = Edge::start();
    for _ in 0..UPGRADES {
        room.upgrade(|room| &mut room.origin);
    }
    room.assert_nothing_was_noticed();
}

#[test]
fn both_nodes_are_upgraded_in_turn() {
    let mut room = Edge::start();
    room.upgrade(|room| &mut room.origin);
    room.upgrade(|room| &mut room.edge);
    room.assert_nothing_was_noticed();
}
