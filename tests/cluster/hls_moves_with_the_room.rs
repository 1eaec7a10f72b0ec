//! HLS goes on while its room moves: through a rolling restart of all nodes, a player that asks any of them sees one playlist
//! whose numbers go on, with one discontinuity a move, and every segment that is listed is there, byte for byte.

use std::collections::BTreeMap;

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

const FLAGS: [&str; 8] = [
    "--hls-fmp4",
    "always",
    "--hls-target-ms",
    "1000",
    "--drain-timeout-s",
    "20",
    "--publisher-grace-s",
    "20",
];

/// A player that asks for one of a room's playlists on all nodes in turn.
struct Follower {
    file: &'static str,
    /// By sequence number.
    segments: BTreeMap<u64, SeenSegment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenSegment {
    uri: String,
    discontinuity: bool,
    discontinuity_number: u64,
    body: Vec<u8>,
}

impl Follower {
    fn new(file: &'static str) -> Self {
        Self { file, segments: BTreeMap::new() }
    }

    fn newest(&self) -> u64 {
        *self.segments.keys().next_back().expect("there are segments")
    }

    /// Asks each node for the playlist and for all that it lists.
    fn poll<'a>(&mut self, nodes: impl IntoIterator<Item = &'a HlsNode>) {
        for node in nodes {
            let answer = node.get(self.file);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let playlist = Playlist::parse(&answer.text());
            assert!(!playlist.ended, "{}", answer.text());
            let next = self.segments.keys().next_back().map_or(playlist.sequence, |newest| newest + 1);
            assert!(playlist.sequence <= next, "{next} is missed: {}", answer.text());
            for init in answer.text().lines().filter_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")) {
                assert_eq!(node.get(init.trim_end_matches('"')).status, 200, "{init}");
            }
            self.take(node, &playlist);
        }
    }

    fn take(&mut self, node: &HlsNode, playlist: &Playlist) {
        let mut discontinuity_number = playlist.discontinuity_sequence;
        for (sequence, entry) in playlist.numbered() {
            let segment = node.get(&entry.uri);
            assert_eq!(segment.status, 200, "{}: {}", entry.uri, segment.text());
            discontinuity_number += u64::from(entry.discontinuity);
            let seen = SeenSegment {
                uri: entry.uri.clone(),
                discontinuity: entry.discontinuity,
                discontinuity_number,
                body: segment.body,
            };
            let known = self.segments.entry(sequence).or_insert_with(|| seen.clone());
            assert!(*known == seen, "{} is what it was", entry.uri);
        }
    }

    /// Asks the nodes until there are so many more segments.
    fn poll_for_more(&mut self, nodes: &[HlsNode]) {
        let enough = self.segments.keys().next_back().map_or(0, |newest| newest + 3);
        poll_until("further segments", || {
            self.poll(nodes);
            (self.newest() >= enough && self.segments.len() >= 3).then_some(())
        });
    }
}

fn publish(node: &HlsNode, frames: &[Frame]) -> RtmpPeer {
    let mut publisher = publish_when_free(&node.server, "r");
    publisher.send_all(frames);
    publisher
}

#[test]
fn numbers_segments_and_discontinuities_are_in_step_through_a_rolling_restart() {
    let redis = Redis::start(&[]);
    let start = |id: &str| HlsNode::start_with(id, &redis, &FLAGS);
    let mut nodes = ["n1", "n2", "n3"].map(start).into_iter().collect::<Vec<_>>();
    let frames = flv::read_file(media_file(Media::AudioVideo));
    let mut publisher = publish(&nodes[0], &frames);
    let mut followers = ["index.m3u8", "ll.m3u8"].map(Follower::new);
    poll_until("the playlists", || {
        followers.iter().all(|follower| nodes[0].get(follower.file).status == 200).then_some(())
    });
    followers.iter_mut().for_each(|follower| follower.poll_for_more(&nodes));
    for id in ["n1", "n2", "n3"] {
        nodes[0].server.signal("TERM");
        publisher.wait_for_status("NetStream.Failed");
        followers.iter_mut().for_each(|follower| follower.poll(&nodes));
        let old = nodes.remove(0);
        publisher = publish(&nodes[0], &frames);
        followers.iter_mut().for_each(|follower| follower.poll_for_more(&nodes));
        assert_eq!(old.server.wait_for_exit().code(), Some(0));
        followers.iter_mut().for_each(|follower| follower.poll(&nodes));
        nodes.push(start(id));
        followers.iter_mut().for_each(|follower| follower.poll(&nodes));
    }
    for Follower { segments, file } in &followers {
        assert!(segments.keys().zip(segments.keys().skip(1)).all(|(one, next)| one + 1 == *next), "{file}");
        let discontinuities = segments.values().filter(|segment| segment.discontinuity).count();
        assert_eq!(discontinuities, 4, "{file}: one at the beginning and one a move");
    }
}

#[test]
fn a_node_that_is_killed_on_the_way_holds_up_nothing_and_its_numbers_are_not_used_again() {
    let redis = Redis::start(&[]);
    let old = HlsNode::start_with("n1", &redis, &[&FLAGS[..], &SHORT_LEASE].concat());
    let new = HlsNode::start_with("n2", &redis, &FLAGS);
    let frames = flv::read_file(media_file(Media::AudioVideo));
    let mut publisher = publish(&old, &frames);
    let mut follower = Follower::new("index.m3u8");
    poll_until("the playlist", || (old.get("index.m3u8").status == 200).then_some(()));
    follower.poll([&old]);
    old.server.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    old.server.signal("KILL");
    let _publisher = publish(&new, &frames);
    poll_until("the next playlist", || {
        let answer = new.get("index.m3u8");
        let playlist = Playlist::try_parse(&answer.text()).ok().filter(|_| answer.status == 200)?;
        (playlist.sequence > follower.newest()).then_some(())
    });
}

#[test]
fn the_numbers_of_a_node_that_dies_with_the_playlist_that_it_took_are_not_used_again() {
    let redis = Redis::start(&[]);
    let [n1, n3] = ["n1", "n3"].map(|id| HlsNode::start_with(id, &redis, &FLAGS));
    let n2 = HlsNode::start_with("n2", &redis, &[&FLAGS[..], &SHORT_LEASE].concat());
    let frames = flv::read_file(media_file(Media::AudioVideo));
    let mut publisher = publish(&n1, &frames);
    let mut follower = Follower::new("index.m3u8");
    poll_until("the playlist", || (n1.get("index.m3u8").status == 200).then_some(()));
    follower.poll([&n1]);
    n1.server.signal("TERM");
    publisher.wait_for_status("NetStream.Failed");
    let taken = publish(&n2, &frames);
    follower.poll_for_more(std::slice::from_ref(&n2));
    assert_eq!(n1.server.wait_for_exit().code(), Some(0), "all that it had was taken over");
    n2.server.signal("KILL");
    drop(taken);
    let _publisher = publish(&n3, &frames);
    poll_until("the next playlist", || {
        let answer = n3.get("index.m3u8");
        let playlist = Playlist::try_parse(&answer.text()).ok().filter(|_| answer.status == 200)?;
        (playlist.sequence > follower.newest()).then_some(())
    });
}
