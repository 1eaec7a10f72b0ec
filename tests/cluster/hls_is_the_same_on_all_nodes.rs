//! Every node serves the same playlists and segments, and after a takeover players go on where they were.

use synctv_testkit::{
    flv,
    hls::Playlist,
    redis::Redis,
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Media, media_file},
    wait::poll_until,
};

use crate::{SHORT_LEASE, hls_node::HlsNode, publish_when_free};

/// Publishes five GOPs at once, and stays.
fn publish(server: &TestServer) -> RtmpPeer {
    let mut publisher = publish_when_free(server, "r");
    publisher.send_all(&flv::read_file(media_file(Media::AudioVideo)));
    publisher
}

fn with_segments(playlist: &Playlist) -> Option<&Playlist> {
    (playlist.segments.len() >= 2).then_some(playlist)
}

#[test]
fn playlists_and_segments_are_equal_to_the_byte_and_go_on_after_a_takeover() {
    let redis = Redis::start(&[]);
    let lease = |id: &str| if id == "n1" { &SHORT_LEASE[..] } else { &[] };
    let nodes = ["n1", "n2", "n3"].map(|id| HlsNode::start_with(id, &redis, lease(id)));
    let _first = publish(&nodes[0].server);
    let before = poll_until("the playlist", || with_segments(&nodes[0].playlist()).cloned());
    let files = before.segments.iter().map(|segment| segment.uri.as_str());
    for file in ["index.m3u8"].into_iter().chain(files) {
        let answers = nodes.each_ref().map(|node| node.get(file));
        for answer in &answers {
            assert_eq!(answer.status, 200, "{file}");
            assert_ne!(answer.header("etag"), "", "{file}");
            assert_eq!(answer.header("etag"), answers[0].header("etag"), "{file}");
            assert_eq!(answer.body, answers[0].body, "{file}");
        }
    }

    nodes[0].server.signal("KILL");
    let _second = publish(&nodes[1].server);
    for node in &nodes[1..] {
        let after = poll_until("the new owner's playlist", || {
            let playlist = node.playlist();
            with_segments(&playlist).filter(|playlist| playlist.sequence != before.sequence).cloned()
        });
        assert!(after.sequence >= before.sequence + before.segments.len() as u64);
        assert!(after.discontinuities() > 0, "what follows is another encoder's");
        assert!(after.discontinuity_sequence > before.discontinuity_sequence);
        assert_eq!(node.get(&after.segments[0].uri).status, 200);
    }
    let texts = [1, 2].map(|at: usize| nodes[at].get("index.m3u8").text());
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn while_redis_is_away_what_was_watched_goes_on_and_what_is_unknown_is_not_called_absent() {
    let mut redis = Redis::start(&[]);
    let [origin, edge, other] = ["n1", "n2", "n3"].map(|id| HlsNode::start(id, &redis));
    let _live = publish(&origin.server);
    poll_until("the playlist", || with_segments(&edge.playlist()).cloned());
    assert_eq!(other.server.hls().get("/live/absent/index.m3u8").status, 404);
    redis.kill();
    for node in [&edge, &origin] {
        let playlist = node.playlist();
        assert_eq!(node.get(&playlist.segments[0].uri).status, 200);
    }
    let answer = other.get("index.m3u8");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{}", answer.text());
    redis.start_again();
    poll_until("the room is found again", || (other.get("index.m3u8").status == 200).then_some(()));
}
