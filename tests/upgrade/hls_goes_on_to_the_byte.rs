//! HLS clients find the playlist, its segments and its parts as if the program had not been replaced.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    hls::{HlsClient, PartPlaylist, PartedSegment},
    http::{read_response, send_get},
    metrics::Scrape,
    rtmp::RtmpPeer,
    server::TestServer,
    socket::{dial, read_to_close},
    tools::Encoded,
    wait::poll_until,
};

use crate::installed::Installed;

const FLAGS: [&str; 4] = ["--hls-fmp4", "always", "--publisher-grace-s", "1"];
const UPGRADES: usize = 3;

/// Frames of a clip in as many pieces as there are programs. They do not end with a GOP, so that segments and parts are open.
fn pieces() -> Vec<Vec<Frame>> {
    let frames =
        Encoded::new(14, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac").frames();
    let length = frames.len().div_ceil(UPGRADES + 1);
    frames.chunks(length).map(<[Frame]>::to_vec).collect()
}

/// The playlist, once it has begun.
fn listed(hls: &HlsClient) -> PartPlaylist {
    poll_until("a playlist with parts", || {
        let answer = hls.get("/live/r/ll.m3u8");
        (answer.status == 200).then(|| PartPlaylist::parse(&answer.text()))
    })
}

fn ended(hls: &HlsClient) -> PartPlaylist {
    poll_until("the end", || Some(listed(hls)).filter(|playlist| playlist.ended))
}

/// All that a playlist names, and its bytes.
fn fetched(hls: &HlsClient, playlist: &PartPlaylist) -> Vec<(String, Vec<u8>)> {
    let of_segment = |segment: &PartedSegment| {
        let parts = segment.parts.iter().map(|part| part.uri.clone());
        parts.chain(segment.uri.clone()).chain(Some(segment.init.clone())).collect::<Vec<_>>()
    };
    let names = playlist.segments.iter().flat_map(of_segment).filter(|uri| !uri.is_empty());
    let fetch = |uri: String| {
        let answer = hls.get(&format!("/live/r/{uri}"));
        assert_eq!(answer.status, 200, "{uri}");
        (uri, answer.body)
    };
    names.map(fetch).collect()
}

/// The segments that are listed at the end, oldest first: whether each is a discontinuity, and its bytes.
fn segments_at_the_end(hls: &HlsClient) -> Vec<(bool, Vec<u8>)> {
    let fmp4 = ended(hls).segments.into_iter();
    let fmp4 = fmp4.filter_map(|segment| Some((segment.discontinuity, segment.uri?)));
    let ts = hls.whole_stream("r").playlist.segments.into_iter();
    let ts = ts.map(|segment| (segment.discontinuity, segment.uri));
    let bytes = |uri: String| hls.get(&format!("/live/r/{uri}")).body;
    fmp4.chain(ts).map(|(discontinuity, uri)| (discontinuity, bytes(uri))).collect()
}

/// Asks for the playlist again and again while `watched` runs. Each answer has to be one.
fn while_followed<T>(hls: HlsClient, watched: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut last = listed(&hls);
            while !is_over.load(Ordering::SeqCst) {
                let answer = hls.get("/live/r/ll.m3u8");
                assert_eq!(answer.status, 200, "{}", answer.text());
                let next = PartPlaylist::parse(&answer.text());
                next.assert_follows(&last);
                last = next;
            }
        });
        let watched = watched();
        is_over.store(true, Ordering::SeqCst);
        follower.join().expect("each playlist follows the one before");
        watched
    })
}

#[test]
fn playlists_segments_and_parts_are_those_of_a_server_that_was_not_upgraded() {
    let storage = tempfile::tempdir().expect("a directory for segments");
    let path = storage.path().to_str().expect("its path is text");
    let mut installed = Installed::start(&FLAGS, &[("HLS", "always"), ("HLS_STORAGE", path)]);
    let other = TestServer::with_hls(&FLAGS);
    let hls = installed.server.hls();
    let [mut publisher, mut to_other] =
        [&installed.server, &other].map(|server| RtmpPeer::publish(server, "r"));
    let pieces = pieces();
    publisher.send_all(&pieces[0]);
    to_other.send_all(&pieces[0]);
    for piece in &pieces[1..] {
        let before = listed(&hls);
        let bytes = fetched(&hls, &before);
        while_followed(hls, || installed.upgrade());
        let after = listed(&hls);
        after.assert_follows(&before);
        assert!(fetched(&hls, &before) == bytes, "what was fetched before the upgrade is the same after it");
        publisher.send_all(piece);
        to_other.send_all(piece);
    }
    publisher.unpublish();
    to_other.unpublish();
    let (expected, segments) = (segments_at_the_end(&other.hls()), segments_at_the_end(&hls));
    assert!(expected.len() >= 12, "{}", expected.len());
    assert!(segments == expected, "not a byte differs, and no discontinuity is new");
    installed.server.assert_unhurt();
}

#[test]
fn requests_that_are_held_get_the_next_part() {
    let storage = tempfile::tempdir().expect("a directory for segments");
    let path = storage.path().to_str().expect("its path is text");
    let flags = [&FLAGS[..], &["--metrics-addr", "127.0.0.1:0"]].concat();
    let mut installed = Installed::start(&flags, &[("HLS", "always"), ("HLS_STORAGE", path)]);
    let (hls, pieces) = (installed.server.hls(), pieces());
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&pieces[0]);
    let next = listed(&hls).edge().0 + 1;
    let awaited = format!("/live/r/ll.m3u8?_HLS_msn={next}&_HLS_part=0");
    let held = thread::spawn(move || hls.get(&awaited));
    Scrape::when(installed.server.metrics(), "synctv_hls_held_requests", 1.0);
    let mut waiting = dial(installed.server.http);
    send_get(&mut waiting, "/healthz");
    assert_eq!(read_response(&mut waiting, &mut Vec::new(), false).status, 200);
    let upgrade = thread::scope(|scope| {
        let upgrade = scope.spawn(|| installed.upgrade());
        // The server closes connections that wait for a request once it waits for the answers to others.
        assert_eq!(read_to_close(&mut waiting), b"");
        publisher.send_all(&pieces[1]);
        let answer = held.join().expect("the request is answered");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(PartPlaylist::parse(&answer.text()).edge() > (next, 0));
        upgrade.join().expect("the server is upgraded")
    });
    assert_eq!(upgrade.number("publishers"), 1, "{upgrade:?}");
    installed.server.assert_unhurt();
}

#[test]
fn files_of_segments_stay_and_go_with_their_server() {
    let storage = tempfile::tempdir().expect("a directory for segments");
    let path = storage.path().to_str().expect("its path is text");
    let mut installed = Installed::start(&FLAGS, &[("HLS", "always"), ("HLS_STORAGE", path)]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&pieces()[0]);
    let before = listed(&installed.server.hls());
    installed.upgrade();
    let first = before.segments[0].uri.clone().expect("a finished segment");
    assert!(storage.path().join("r").join(first).exists());
    // Another server at the same directory finds it taken, and clears nothing of it.
    let beside = TestServer::with_hls_storage(storage.path(), &[]);
    fetched(&installed.server.hls(), &before);
    assert!(storage.path().join("@2").exists());
    drop(beside);
    installed.server.signal("TERM");
    assert!(installed.server.wait_for_exit().success());
    assert!(!storage.path().join("r").exists(), "a server that stops takes its files along");
}
