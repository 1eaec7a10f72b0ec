//! A request that is held is answered as soon as there is something to say, whatever happens, and nothing of it stays.

use std::{
    net::{SocketAddr, TcpStream},
    thread::{Scope, ScopedJoinHandle},
};

use synctv_testkit::{
    hls::{HlsClient, PartPlaylist},
    http::{Response, send_get},
    metrics::Scrape,
    nodes::CLUSTER_SECRET,
    rtmp::RtmpPeer,
    server::TestServer,
    wait::poll_until,
};

use crate::{any_node_serves_any_room::Edge, clip};

const HELD: &str = "synctv_hls_held_requests";

/// A server whose room `r` has a playlist with parts, and a publisher that sends nothing more.
fn quiet_room(grace_s: &str) -> (TestServer, RtmpPeer) {
    let flags = ["--hls-fmp4", "always", "--metrics-addr", "127.0.0.1:0", "--cluster-secret", CLUSTER_SECRET];
    let server = TestServer::with_hls(&[&flags[..], &["--publisher-grace-s", grace_s]].concat());
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&clip(5).frames());
    poll_until("two segments and a part", || listed(server.hls()).filter(|listed| listed.edge().1 > 0));
    (server, publisher)
}

fn listed(hls: HlsClient) -> Option<PartPlaylist> {
    let answer = hls.get("/live/r/ll.m3u8");
    let playlist = (answer.status == 200).then(|| PartPlaylist::parse(&answer.text()))?;
    (playlist.segments.len() > 2).then_some(playlist)
}

/// The part that the open segment has to end for.
fn awaited(hls: HlsClient) -> String {
    let (sequence, _) = listed(hls).expect("a playlist").edge();
    format!("/live/r/ll.m3u8?_HLS_msn={}&_HLS_part=0", sequence + 1)
}

/// Asks for what is not there yet, and returns when the server holds the request.
fn hold<'scope>(
    scope: &'scope Scope<'scope, '_>,
    hls: HlsClient,
    metrics: SocketAddr,
) -> ScopedJoinHandle<'scope, Response> {
    let path = awaited(hls);
    let held = scope.spawn(move || hls.get(&path));
    Scrape::when(metrics, HELD, 1.0);
    held
}

#[test]
fn when_the_publisher_does_not_come_back() {
    let (server, publisher) = quiet_room("1");
    std::thread::scope(|scope| {
        let held = hold(scope, server.hls(), server.metrics());
        publisher.reset();
        let answer = held.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(PartPlaylist::parse(&answer.text()).ended);
    });
    Scrape::when(server.metrics(), HELD, 0.0);
}

#[test]
fn when_another_publisher_takes_over() {
    let (server, publisher) = quiet_room("600");
    let before = listed(server.hls()).unwrap();
    std::thread::scope(|scope| {
        let held = hold(scope, server.hls(), server.metrics());
        publisher.reset();
        server.wait_for_publisher_leaving("r");
        let mut next = RtmpPeer::publish(&server, "r");
        next.send_all(&clip(5).frames());
        let answer = held.join().unwrap();
        assert_eq!(answer.status, 200);
        let after = PartPlaylist::parse(&answer.text());
        after.assert_follows(&before);
        // Further segments may be there by the time of the answer.
        let next = (before.edge().0 + 1 - after.sequence) as usize;
        assert!(!after.ended && after.segments[next].discontinuity, "{}", answer.text());
    });
    Scrape::when(server.metrics(), HELD, 0.0);
}

#[test]
fn when_the_server_stops() {
    let (server, _publisher) = quiet_room("600");
    std::thread::scope(|scope| {
        let held = hold(scope, server.hls(), server.metrics());
        server.signal("TERM");
        // The stop waits for answers for 3 s, and cuts off what has none by then.
        let answer = held.join().unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    });
    assert!(server.wait_for_exit().success());
}

#[test]
fn when_its_client_is_not_there_any_more() {
    let (server, _publisher) = quiet_room("600");
    let mut client = TcpStream::connect(server.hls().address).unwrap();
    send_get(&mut client, &awaited(server.hls()));
    Scrape::when(server.metrics(), HELD, 1.0);
    drop(client);
    Scrape::when(server.metrics(), HELD, 0.0);
}

#[test]
fn and_another_node_holds_one_for_all_its_viewers() {
    let (server, publisher) = quiet_room("1");
    let edge = Edge::start(&server);
    let (hls, path) = (edge.hls(), awaited(edge.hls()));
    let answered = || {
        let sample = r#"synctv_hls_requests_total{kind="playlist",source="here",code="2xx"}"#;
        Scrape::of(server.metrics()).value(sample)
    };
    let before = answered();
    std::thread::scope(|scope| {
        let held = [0; 8].map(|_| scope.spawn(|| hls.get(&path)));
        Scrape::when(server.metrics(), HELD, 1.0);
        publisher.reset();
        for held in held {
            let answer = held.join().unwrap();
            assert_eq!(answer.status, 200);
            assert!(PartPlaylist::parse(&answer.text()).ended);
        }
    });
    Scrape::when(server.metrics(), HELD, 0.0);
    assert_eq!(answered() - before, 1.0);
}
