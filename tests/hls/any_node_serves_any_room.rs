//! A node that does not publish a room serves what the publishing node serves.

use bytes::Bytes;
use synctv_actors::cluster::origin::NodeAddresses;
use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    hls::{HlsClient, Playlist},
    nodes::{CLUSTER_SECRET, TestCluster, TestNode, pull_signature},
    rtmp::RtmpPeer,
    server::TestServer,
    tools::Encoded,
    wait::poll_until,
};

use crate::{LONG_GRACE, ask_while_publishing, server_with_segments};

/// A node that publishes nothing, beside a server that has the rooms.
pub struct Edge {
    cluster: TestCluster,
    node: TestNode,
}

impl Edge {
    pub fn start(origin: &TestServer) -> Self {
        let cluster = TestCluster::default();
        let node = cluster.node_with_hls("edge", &[]);
        let edge = Self { cluster, node };
        edge.follow(origin);
        for room in ["r", "other"] {
            edge.cluster.claims.claim("origin", room);
        }
        edge
    }

    /// From now on the rooms are at another address.
    fn follow(&self, origin: &TestServer) {
        let addresses = NodeAddresses {
            rtmp: origin.rtmp.to_string(),
            httpflv: origin.http.to_string(),
            hls: Some(origin.hls().address.to_string()),
        };
        self.cluster.claims.join("origin", addresses);
    }

    pub fn hls(&self) -> HlsClient {
        self.node.hls()
    }
}

/// A server with a room that has segments, and a node beside it.
fn cluster() -> (TestServer, Edge, String) {
    let (server, segment) = server_with_segments();
    let edge = Edge::start(&server);
    (server, edge, segment)
}

#[test]
fn an_answer_is_the_same_from_every_node() {
    let (server, edge, segment) = cluster();
    let tag = server.hls().get(&segment).header("etag").to_owned();
    let playlist_tag = server.hls().get("/live/r.m3u8").header("etag").to_owned();
    let headers: &[&[(&str, &str)]] = &[
        &[],
        &[("Accept-Encoding", "gzip")],
        &[("If-None-Match", &tag)],
        &[("If-None-Match", &playlist_tag)],
        &[("Range", "bytes=188-375")],
        &[("Range", "bytes=-188"), ("If-Range", &tag)],
        &[("Range", "bytes=99999999-")],
    ];
    for path in ["/live/r/index.m3u8", "/live/r.m3u8", &segment, "/live/r/seg-1.ts", "/live/r/x"] {
        for (method, headers) in ["GET", "HEAD", "OPTIONS", "POST"]
            .iter()
            .flat_map(|method| headers.iter().map(move |it| (method, it)))
        {
            let direct = server.hls().request(method, path, headers);
            let forwarded = edge.hls().request(method, path, headers);
            assert_eq!(forwarded.without_date(), direct.without_date(), "{method} {path} {headers:?}");
        }
    }
}

#[test]
fn a_node_asks_for_another_node_only_for_what_it_has_itself() {
    let (_server, edge, segment) = cluster();
    for path in ["/live/r/index.m3u8", "/live/r.m3u8", &segment] {
        let signature = pull_signature("GET", "localhost", path);
        assert_eq!(edge.hls().request("GET", path, &[("Synctv-Pull", &signature)]).status, 404);
        assert_eq!(edge.hls().request("GET", path, &[("Synctv-Pull", "n3")]).status, 403);
        assert_eq!(edge.hls().request("GET", path, &[]).status, 200);
    }
}

#[test]
fn five_hundred_viewers_of_another_node_get_every_segment() {
    let (server, edge, _) = cluster();
    let direct = server.hls().get("/live/r/index.m3u8").text();
    let uris: Vec<_> = Playlist::parse(&direct).segments.into_iter().map(|entry| entry.uri).collect();
    let bodies: Vec<_> = uris.iter().map(|uri| server.hls().get(&format!("/live/r/{uri}")).body).collect();
    std::thread::scope(|scope| {
        for _ in 0..500 {
            scope.spawn(|| {
                assert_eq!(edge.hls().request("GET", "/live/r/index.m3u8", &[]).text(), direct);
                for (uri, body) in uris.iter().zip(&bodies) {
                    let answer = edge.hls().request("GET", &format!("/live/r/{uri}"), &[]);
                    assert!(answer.status == 200 && answer.body == *body);
                }
            });
        }
    });
}

#[test]
fn a_codec_that_segments_cannot_carry_is_refused_by_every_node() {
    let server = TestServer::with_hls(&["--cluster-secret", CLUSTER_SECRET]);
    let edge = Edge::start(&server);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let payloads = [&b"\x90vp08\x01"[..], b"\x91vp08key"].map(Bytes::from_static);
    publisher.send_all(&payloads.map(|payload| Frame { track: Track::Video, timestamp_ms: 0, payload }));
    assert_eq!(server.hls().playlist_answer("r").status, 415);
    let direct = server.hls().get("/live/r.m3u8");
    let forwarded = edge.hls().request("GET", "/live/r.m3u8", &[]);
    assert_eq!(forwarded.without_date(), direct.without_date());
}

#[test]
fn a_node_that_died_is_an_error_that_says_when_to_ask_again() {
    let (server, edge, segment) = cluster();
    let playlist = edge.hls().request("GET", "/live/r.m3u8", &[]);
    let kept = edge.hls().request("GET", &segment, &[]);
    drop(server);
    let missing = edge.hls().request("GET", "/live/r/seg-1.ts", &[]);
    assert_eq!((missing.status, missing.header("retry-after")), (502, "1"));
    let expected = r#"{"error":"origin_unreachable","message":"node origin, where the room is published, does not answer"}"#;
    assert_eq!(missing.text(), expected);
    assert_eq!(edge.hls().request("GET", "/live/other.m3u8", &[]).status, 502);
    assert_eq!(edge.hls().request("GET", &segment, &[]).body, kept.body);
    assert_eq!(edge.hls().request("GET", "/live/r.m3u8", &[]).text(), playlist.text());
}

#[test]
fn when_the_publisher_moves_viewers_go_on_above_what_they_had() {
    let settings =
        [&LONG_GRACE[..], &["--cluster-secret", CLUSTER_SECRET, "--hls-target-ms", "500"]].concat();
    let (old, new) = (TestServer::with_hls(&settings), TestServer::with_hls(&settings));
    let edge = Edge::start(&old);
    let source = Encoded::new(5, "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0", "-c:a aac");
    source.push_in_real_time(&old.rtmp_url("r"));
    let before =
        poll_until("all segments", || Some(edge.hls().playlist("r")).filter(|it| it.segments.len() == 5));
    drop(old);
    assert_eq!(edge.hls().playlist("r").sequence, before.sequence);
    source.push(&new.rtmp_url("r"));
    edge.follow(&new);
    let after = poll_until("the new playlist", || {
        Some(edge.hls().playlist("r")).filter(|playlist| playlist.sequence != before.sequence)
    });
    assert!(after.sequence >= before.sequence + 5);
    assert!(after.discontinuity_sequence > before.discontinuity_sequence);
    let segment = edge.hls().request("GET", &format!("/live/r/{}", after.segments[0].uri), &[]);
    assert_eq!(segment.status, 200);
}

#[test]
fn on_demand_a_request_to_any_node_begins_it() {
    let server = TestServer::with_hls(&["--cluster-secret", CLUSTER_SECRET, "--hls", "on-demand"]);
    let edge = Edge::start(&server);
    let playlist = ask_while_publishing(&server, || edge.hls().playlist("r"));
    assert!(!playlist.segments.is_empty());
}
