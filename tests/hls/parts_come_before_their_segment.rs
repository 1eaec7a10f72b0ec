//! Low-Latency HLS: players get parts of a segment that is not finished, as soon as they are.

use std::thread::ScopedJoinHandle;

use synctv_testkit::{
    hls::{HlsClient, PartPlaylist},
    http::{Response, request},
    nodes::CLUSTER_SECRET,
    server::TestServer,
    wait::poll_until,
};

use crate::{any_node_serves_any_room::Edge, clip};

const SOON_OVER: [&str; 2] = ["--publisher-grace-s", "1"];

fn playlist(hls: &HlsClient, query: &str) -> (Response, PartPlaylist) {
    let answer = hls.get(&format!("/live/r/ll.m3u8{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let playlist = PartPlaylist::parse(&answer.text());
    (answer, playlist)
}

/// The first playlist, once the publisher is there.
fn first_playlist(hls: &HlsClient) -> PartPlaylist {
    poll_until("the port knows the room", || {
        let answer = hls.get("/live/r/ll.m3u8");
        (answer.status == 200).then(|| PartPlaylist::parse(&answer.text()))
    })
}

/// The part after the last one that `playlist` lists.
fn next_query(playlist: &PartPlaylist) -> String {
    let (sequence, part) = playlist.edge();
    format!("?_HLS_msn={sequence}&_HLS_part={part}")
}

/// Runs `watch` while a clip of so many seconds is published as a camera would.
fn while_publishing<T>(server: &TestServer, duration_s: u32, watch: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let clip = clip(duration_s);
        let publisher: ScopedJoinHandle<'_, ()> =
            scope.spawn(move || clip.push_in_real_time(&server.rtmp_url("r")));
        let watched = watch();
        publisher.join().unwrap();
        watched
    })
}

/// Follows the playlist to its end. Returns all that it was.
fn followed(hls: &HlsClient) -> Vec<PartPlaylist> {
    let mut playlists = vec![first_playlist(hls)];
    while let Some(last) = playlists.last().filter(|last| !last.ended) {
        let (_, next) = playlist(hls, &next_query(last));
        assert!(next.ended || next.edge() > last.edge(), "it brings something new");
        next.assert_follows(last);
        playlists.push(next);
    }
    playlists
}

#[test]
fn parts_are_announced_held_and_make_up_their_segment() {
    let server = TestServer::with_hls(&SOON_OVER);
    let hls = server.hls();
    let playlists = while_publishing(&server, 9, || followed(&hls));
    let at_once = |path: &str| {
        let answer = hls.get(&format!("/live/r/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("cache-control").contains("immutable"));
        answer.body
    };
    let last = playlists.last().unwrap();
    for segment in last.segments.iter().filter(|segment| segment.uri.is_some() && !segment.parts.is_empty()) {
        let parts: Vec<u8> = segment.parts.iter().flat_map(|part| at_once(&part.uri)).collect();
        assert!(parts == at_once(segment.uri.as_ref().unwrap()), "{segment:?}");
        assert!(at_once(&segment.init).starts_with(b"\0\0\0"));
        assert!(segment.parts[0].independent);
    }
    let seen_open = playlists.iter().filter(|playlist| playlist.edge().1 > 0).count();
    assert!(seen_open >= 6, "parts were listed before their segments {seen_open} times");
}

#[test]
fn a_part_that_is_announced_is_held_until_it_is_there() {
    let server = TestServer::with_hls(&SOON_OVER);
    let hls = server.hls();
    while_publishing(&server, 6, || {
        let first = first_playlist(&hls);
        let part = hls.get(&format!("/live/r/{}", first.hint.as_ref().unwrap()));
        assert_eq!(part.status, 200);
        assert_eq!(&part.body[4..8], b"moof");
        let (sequence, _) = first.edge();
        assert_eq!(hls.get(&format!("/live/r/part-{}.99.m4s", sequence + 1)).status, 404);
    });
}

#[test]
fn directives_are_followed_or_refused_by_every_node() {
    let server = TestServer::with_hls(&[&SOON_OVER[..], &["--cluster-secret", CLUSTER_SECRET]].concat());
    let edge = Edge::start(&server);
    while_publishing(&server, 9, || {
        first_playlist(&server.hls());
        for hls in [server.hls(), edge.hls()] {
            assert_directives_are_kept(&hls);
        }
    });
    for hls in [server.hls(), edge.hls()] {
        let last = poll_until("the end", || Some(playlist(&hls, "").1).filter(|last| last.ended));
        let (sequence, _) = last.edge();
        for query in ["?_HLS_msn=0".to_owned(), format!("?_HLS_msn={}&_HLS_part=9", sequence + 99)] {
            assert!(playlist(&hls, &query).1.ended, "it has ended, so that {query} has no meaning");
        }
    }
}

/// Of a stream that goes on.
fn assert_directives_are_kept(hls: &HlsClient) {
    let (sequence, _) = first_playlist(hls).edge();
    for query in [
        "?_HLS_part=0".to_owned(),
        "?_HLS_msn=x".to_owned(),
        format!("?_HLS_msn={sequence}&_HLS_part=-1"),
        format!("?_HLS_msn={sequence}&_HLS_msn={sequence}"),
        format!("?_HLS_msn={}", sequence + 9),
        format!("?_HLS_msn={sequence}&_HLS_part=40"),
    ] {
        let answer = hls.get(&format!("/live/r/ll.m3u8{query}"));
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("bad_directive")), "{query}");
        assert_eq!(hls.get(&format!("/live/r/index.m3u8{query}")).status, 200, "it waits for nothing");
    }
    playlist(hls, "?_HLS_msn=0");
    playlist(hls, &format!("?_HLS_msn={}&_HLS_part=0", sequence - 1));
    let (_, whole) = playlist(hls, &format!("?_HLS_msn={sequence}"));
    assert!(whole.edge().0 > sequence);
    let (_, behind_the_last) = playlist(hls, &format!("?_HLS_msn={sequence}&_HLS_part=30"));
    assert!(behind_the_last.edge() >= (sequence + 1, 1));
}

#[test]
fn every_address_that_is_described_is_there() {
    let server = TestServer::with_hls(&SOON_OVER);
    let description = request(server.http, "GET", "/api/openapi.json").json();
    let paths: Vec<_> = description["paths"].as_object().unwrap().keys().cloned().collect();
    let paths: Vec<_> = paths.iter().filter_map(|path| path.strip_prefix("/{app}/{room}/")).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    while_publishing(&server, 6, || {
        let hls = server.hls();
        let newest =
            first_playlist(&hls).segments.into_iter().rfind(|segment| segment.uri.is_some()).unwrap();
        let sequence = newest.uri.as_ref().and_then(|uri| uri.strip_prefix("seg-")?.strip_suffix(".m4s"));
        for path in paths {
            let path = match path {
                "init-{sequence}.mp4" => newest.init.clone(),
                path => path.replace("{sequence}", sequence.unwrap()).replace("{index}", "0"),
            };
            assert_eq!(hls.get(&format!("/live/r/{path}")).status, 200, "{path}");
        }
    });
}

#[test]
fn requests_that_wait_get_the_end() {
    let server = TestServer::with_hls(&SOON_OVER);
    let hls = server.hls();
    let last = while_publishing(&server, 5, || followed(&hls)).pop().unwrap();
    assert!(last.ended);
}

#[test]
fn other_nodes_hold_requests_and_give_the_same_answers() {
    let server = TestServer::with_hls(&[&SOON_OVER[..], &["--cluster-secret", CLUSTER_SECRET]].concat());
    let edge = Edge::start(&server);
    while_publishing(&server, 8, || {
        let mut last = first_playlist(&edge.hls());
        for _ in 0..6 {
            let query = next_query(&last);
            let [direct, forwarded] = std::thread::scope(|scope| {
                [server.hls(), edge.hls()]
                    .map(|hls| {
                        scope.spawn({
                            let query = &query;
                            move || playlist(&hls, query)
                        })
                    })
                    .map(|asked| asked.join().unwrap())
            });
            assert_eq!(direct.0.body, forwarded.0.body);
            assert_eq!(direct.0.header("etag"), forwarded.0.header("etag"));
            let part = forwarded.1.segments.iter().rev().find_map(|segment| segment.parts.last()).unwrap();
            let path = format!("/live/r/{}", part.uri);
            assert_eq!(server.hls().get(&path).body, edge.hls().get(&path).body);
            last = forwarded.1;
        }
        let (sequence, _) = last.edge();
        let refused = edge.hls().get(&format!("/live/r/ll.m3u8?_HLS_msn={}", sequence + 9));
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("bad_directive")));
        assert_eq!(
            server.hls().get("/live/r/master.m3u8").text(),
            edge.hls().get("/live/r/master.m3u8").text()
        );
    });
}
