//! However a room moves, and however fast it is pushed, its playlist's numbers never go back on any node, and no segment's
//! address means two things.

use std::collections::HashMap;

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv,
    hls::Playlist,
    redis::Redis,
    rtmp::RtmpPeer,
    tools::{Media, media_file},
    wait::poll_until,
};

use crate::{SHORT_LEASE, hls_node::HlsNode, publish_when_free};

/// The clip's five GOPs of a second are cut after one and then after two each.
const SEGMENTS_OF_CLIP: u64 = 3;

/// The memory of a player of one room. Every node may be asked in turn, once they agree.
#[derive(Default)]
struct Player {
    room: &'static str,
    last: Playlist,
    segments: HashMap<String, Vec<u8>>,
}

impl Player {
    fn of(room: &'static str) -> Self {
        Self { room, ..Self::default() }
    }

    /// Loads the playlist anew, and the segments that it has not seen.
    fn look(&mut self, node: &HlsNode) -> &Playlist {
        let playlist = node.server.hls().playlist(self.room);
        let seen = |playlist: &Playlist| {
            let newest = playlist.sequence + playlist.segments.len() as u64;
            let discontinuity = playlist.discontinuity_sequence + playlist.discontinuities() as u64;
            (playlist.sequence, newest, discontinuity)
        };
        let (before, now) = (seen(&self.last), seen(&playlist));
        assert!(before.0 <= now.0 && before.1 <= now.1, "media sequence: {before:?} to {now:?}");
        assert!(before.2 <= now.2, "discontinuity sequence: {before:?} to {now:?}");
        for entry in &playlist.segments {
            let path = format!("/live/{}/{}", self.room, entry.uri);
            let answer = node.server.hls().get(&path);
            assert_eq!(answer.status, 200, "{path} was just listed");
            let known = self.segments.entry(entry.uri.clone()).or_insert_with(|| answer.body.clone());
            assert!(*known == answer.body, "{path} means two things");
        }
        self.last = playlist;
        &self.last
    }

    /// Looks until the newest segment is above `sequence`.
    fn wait_above(&mut self, node: &HlsNode, sequence: u64) -> u64 {
        poll_until("new segments", || {
            let playlist = self.look(node);
            let newest = playlist.sequence + playlist.segments.len() as u64;
            (newest > sequence).then_some(newest)
        })
    }
}

fn clip() -> Vec<Frame> {
    flv::read_file(media_file(Media::AudioVideo))
}

/// The clip so many times more, behind the first time.
fn repeated(count: u32) -> Vec<Frame> {
    let clip = clip();
    let span_ms = clip.iter().map(|frame| frame.timestamp_ms).max().expect("it has frames") + 40;
    let shifted = |round: u32| {
        clip.iter()
            .map(move |frame| Frame { timestamp_ms: frame.timestamp_ms + round * span_ms, ..frame.clone() })
    };
    (1..=count).flat_map(shifted).collect()
}

fn publish(node: &HlsNode, room: &str) -> RtmpPeer {
    let mut publisher = publish_when_free(&node.server, room);
    publisher.send_all(&clip());
    publisher
}

fn push_fast(publisher: &mut RtmpPeer, frames: &[Frame]) {
    for some in frames.chunks(1000) {
        publisher.send_all(some);
    }
}

#[test]
fn when_a_publisher_goes_to_another_node_and_comes_back_within_the_grace() {
    let redis = Redis::start(&[]);
    let nodes = ["n1", "n2", "n3"].map(|id| HlsNode::start_with(id, &redis, &["--publisher-grace-s", "60"]));
    let mut players = [0, 1, 2].map(|_| Player::of("r"));
    let mut wanderer = Player::of("r");
    let (mut newest, mut end) = (0, None);
    for at in [0, 1, 0, 2, 1] {
        let publisher = publish(&nodes[at], "r");
        let reached = nodes.iter().zip(&mut players).map(|(node, player)| player.wait_above(node, newest));
        let reached = reached.collect::<Vec<_>>();
        newest = reached.into_iter().max().expect("there are nodes");
        publisher.unpublish();
        let reached = poll_until("the same whole playlist on all nodes", || {
            let playlists = nodes.each_ref().map(HlsNode::playlist);
            let reached = playlists[0].sequence + playlists[0].segments.len() as u64;
            // The playlist goes on on the next node.
            let begun = end.unwrap_or(playlists[0].sequence);
            let is_whole = reached == begun + SEGMENTS_OF_CLIP;
            (is_whole && playlists.iter().all(|playlist| *playlist == playlists[0])).then_some(reached)
        });
        end = Some(reached);
        nodes.iter().for_each(|node| drop(wanderer.look(node).clone()));
    }
}

#[test]
fn when_a_room_is_pushed_faster_than_real_time_and_moves() {
    let redis = Redis::start(&[]);
    let nodes = ["n1", "n2"].map(|id| HlsNode::start(id, &redis));
    let (mut fast, mut other) = (Player::of("fast"), Player::of("other"));
    let mut publisher = publish(&nodes[0], "fast");
    let began = fast.wait_above(&nodes[1], 0);
    push_fast(&mut publisher, &repeated(50));
    let reached = fast.wait_above(&nodes[1], began + 100);

    let slow = publish(&nodes[0], "other");
    let began = other.wait_above(&nodes[1], 0);
    assert!(began < reached, "another room's numbers do not move");
    slow.unpublish();
    let _slow = publish(&nodes[1], "other");
    other.wait_above(&nodes[1], began);

    publisher.unpublish();
    let reached = fast.wait_above(&nodes[1], 0);
    let _publisher = publish(&nodes[1], "fast");
    fast.wait_above(&nodes[1], reached);
}

#[test]
fn when_the_node_is_killed_and_starts_again() {
    let redis = Redis::start(&[]);
    let (first, second) = (HlsNode::start_with("n1", &redis, &SHORT_LEASE), HlsNode::start("n2", &redis));
    let mut player = Player::of("r");
    let mut publisher = publish(&first, "r");
    let began = player.wait_above(&second, 0);
    push_fast(&mut publisher, &repeated(40));
    let reached = player.wait_above(&second, began + 80);
    first.server.signal("KILL");
    let restarted = HlsNode::start("n1", &redis);
    let _publisher = publish(&restarted, "r");
    player.wait_above(&second, reached);
}
