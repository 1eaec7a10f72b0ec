//! A node that does not publish a room answers for the one that does.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_server::{Server as Workers, ServerHandle};
use bytes::Bytes;
use clap::Parser;
use futures::future::{LocalBoxFuture, ready};
use synctv_actors::{
    cluster::{
        origin::{NodeAddresses, Origin, PublishedRoom},
        registry::{ClaimError, RegistryHandle},
        store::{Claim, Store, StoreError},
    },
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    hls::{HlsSessions, proxy::HlsProxy},
};
use synctv_media::stream::{
    frame::{Frame, Track},
    room::RoomName,
};
use synctv_stream::{
    config::Config,
    http::hls::{self, HlsSources},
};
use tempfile::TempDir;

use crate::support::{Answer, Playlist, Server, Source, request, until};

/// A store that says of every room that one node publishes it, the one at this address.
#[derive(Clone)]
struct Pointer(Arc<Mutex<String>>);

impl Pointer {
    fn origin(&self) -> Origin {
        let address = self.0.lock().unwrap().clone();
        let addresses = NodeAddresses { rtmp: address.clone(), httpflv: address.clone(), hls: Some(address) };
        Origin { node: "origin".to_owned(), epoch: 1, addresses }
    }
}

impl Store for Pointer {
    fn claim(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>> {
        Box::pin(ready(Err(ClaimError::Taken { node: self.origin().node })))
    }

    fn renew(&self, _: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn release(&self, _: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    fn locate(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        Box::pin(ready(Ok(Some(self.origin()))))
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

/// The HLS port of a node that publishes nothing, in this process. It is stopped when dropped.
struct Edge {
    address: SocketAddr,
    pointer: Pointer,
    workers: ServerHandle,
    _storage: TempDir,
}

impl Edge {
    /// `origin` is the address of the HLS port that has all rooms.
    fn start(origin: &str) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let path = storage.path().to_str().unwrap();
        let config = Config::parse_from(["synctv-stream", "--hls-storage", path, "--node-id", "edge"]);
        let pointer = Pointer(Arc::new(Mutex::new(origin.to_owned())));
        let store = pointer.clone();
        let (sender, workers) = mpsc::channel();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let workers = serve(&config, listener, store);
                sender.send(workers.handle()).unwrap();
                workers.await.unwrap();
            });
        });
        Self { address, pointer, workers: workers.recv().unwrap(), _storage: storage }
    }

    /// From now on the rooms are at another address.
    fn follow(&self, server: &Server) {
        *self.pointer.0.lock().unwrap() = server.hls.clone();
    }

    fn playlist(&self) -> Playlist {
        let answer = self.request("GET", "/live/r/index.m3u8", &[]);
        assert_eq!(answer.status, 200, "players give up after a few errors");
        Playlist::parse(&answer.text())
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        request(&self.address.to_string(), method, path, headers)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It is told at once; the rest happens on its own thread.
        drop(self.workers.stop(false));
    }
}

fn serve(config: &Config, listener: TcpListener, store: Pointer) -> Workers {
    let registry = RegistryHandle::start(Duration::from_secs(60), || store);
    let hls = HlsSessions::start(config.hls_settings(true).unwrap());
    let directory = StreamDirectory::start(
        config.stream_settings("edge"),
        registry.clone(),
        config.max_rooms,
        Some(hls.clone()),
    );
    let proxy = HlsProxy::start(registry, config.hls_proxy_settings("edge"));
    let (sources, port, permits) =
        (HlsSources { hls, directory, proxy }, config.hls_port(), ConnectionLimit::new(20_000));
    Workers::build()
        .workers(2)
        .disable_signals()
        .listen("hls", listener, move || hls::service(sources.clone(), port.clone(), permits.clone()))
        .unwrap()
        .run()
}

/// A server with a room that has segments, and a node beside it.
fn cluster() -> (Server, Edge, String) {
    let server = Server::start(&[("PUBLISHER_GRACE_S", "60")]);
    let source = Source::encode(6, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac");
    source.push(&server, "r");
    let playlist = server.playlist_when("r", |playlist| playlist.segments.len() == 3);
    let segment = format!("/live/r/{}", playlist.segments[1].uri);
    let edge = Edge::start(&server.hls);
    (server, edge, segment)
}

#[test]
fn an_answer_is_the_same_from_every_node() {
    let (server, edge, segment) = cluster();
    let tag = server.get(&segment).header("etag").to_owned();
    let playlist_tag = server.get("/live/r.m3u8").header("etag").to_owned();
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
            let direct = server.request(method, path, headers);
            let forwarded = edge.request(method, path, headers);
            assert_eq!(forwarded.without_date(), direct.without_date(), "{method} {path} {headers:?}");
        }
    }
}

#[test]
fn a_node_asks_for_another_node_only_for_what_it_has_itself() {
    let (_server, edge, segment) = cluster();
    for path in ["/live/r/index.m3u8", "/live/r.m3u8", &segment] {
        assert_eq!(edge.request("GET", path, &[("Synctv-Pull", "n3")]).status, 404);
        assert_eq!(edge.request("GET", path, &[]).status, 200);
    }
}

#[test]
fn five_hundred_viewers_of_another_node_get_every_segment() {
    let (server, edge, _) = cluster();
    let direct = server.get("/live/r/index.m3u8").text();
    let uris: Vec<_> = Playlist::parse(&direct).segments.into_iter().map(|entry| entry.uri).collect();
    let bodies: Vec<_> = uris.iter().map(|uri| server.get(&format!("/live/r/{uri}")).body).collect();
    std::thread::scope(|scope| {
        for _ in 0..500 {
            scope.spawn(|| {
                assert_eq!(edge.request("GET", "/live/r/index.m3u8", &[]).text(), direct);
                for (uri, body) in uris.iter().zip(&bodies) {
                    let answer = edge.request("GET", &format!("/live/r/{uri}"), &[]);
                    assert!(answer.status == 200 && answer.body == *body);
                }
            });
        }
    });
}

#[test]
fn a_codec_that_segments_cannot_carry_is_refused_by_every_node() {
    let server = Server::start(&[]);
    let edge = Edge::start(&server.hls);
    let mut publisher = server.publisher("r");
    let payloads = [&b"\x90av01\x81\0\0\0"[..], b"\x91av01key"].map(Bytes::from_static);
    publisher.send(&payloads.map(|payload| Frame { track: Track::Video, timestamp_ms: 0, payload }));
    let direct = server.get("/live/r.m3u8");
    assert_eq!(direct.status, 415);
    let forwarded = edge.request("GET", "/live/r.m3u8", &[]);
    assert_eq!(forwarded.without_date(), direct.without_date());
}

#[test]
fn a_node_that_died_is_an_error_that_says_when_to_ask_again() {
    let (server, edge, segment) = cluster();
    let playlist = edge.request("GET", "/live/r.m3u8", &[]);
    let kept = edge.request("GET", &segment, &[]);
    drop(server);
    let missing = edge.request("GET", "/live/r/seg-1.ts", &[]);
    assert_eq!((missing.status, missing.header("retry-after")), (502, "1"));
    let expected = r#"{"error":"origin_unreachable","message":"node origin, where the room is published, does not answer"}"#;
    assert_eq!(missing.text(), expected);
    assert_eq!(edge.request("GET", "/live/other.m3u8", &[]).status, 502);
    assert_eq!(edge.request("GET", &segment, &[]).body, kept.body);
    assert_eq!(edge.request("GET", "/live/r.m3u8", &[]).text(), playlist.text());
}

#[test]
fn when_the_publisher_moves_viewers_go_on_above_what_they_had() {
    let settings = [("PUBLISHER_GRACE_S", "60"), ("HLS_TARGET_MS", "500")];
    let (old, new) = (Server::start(&settings), Server::start(&settings));
    let edge = Edge::start(&old.hls);
    let source = Source::encode(5, "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0", "-c:a aac");
    source.push_in_real_time(&old, "r");
    let before = until("all segments", || Some(edge.playlist()).filter(|it| it.segments.len() == 5));
    drop(old);
    assert_eq!(edge.playlist().sequence, before.sequence);
    source.push(&new, "r");
    edge.follow(&new);
    let after = until("the new playlist", || {
        Some(edge.playlist()).filter(|playlist| playlist.sequence != before.sequence)
    });
    assert!(after.sequence >= before.sequence + 5);
    assert!(after.discontinuity_sequence > before.discontinuity_sequence);
    let segment = edge.request("GET", &format!("/live/r/{}", after.segments[0].uri), &[]);
    assert_eq!(segment.status, 200);
}

#[test]
fn on_demand_a_request_to_any_node_begins_it() {
    let server = Server::start(&[("HLS", "on-demand"), ("PUBLISHER_GRACE_S", "20")]);
    let edge = Edge::start(&server.hls);
    let mut publisher = server.publisher("r");
    let frames =
        Source::encode(6, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac").frames();
    let (before, after) = frames.split_at(frames.len() / 2);
    publisher.send(before);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| edge.playlist());
        while !waiting.is_finished() {
            publisher.send(after);
            std::thread::park_timeout(Duration::from_millis(200));
        }
        assert!(!waiting.join().unwrap().segments.is_empty());
    });
}
