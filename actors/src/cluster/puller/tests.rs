//! A stream that is pulled from an origin which the test plays, over a socket. All of it is on one thread and over
//! loopback, where what was sent is there at once, so that the clock can be paused.

mod failures;
mod hls;
mod local_publisher;

use std::{cell::RefCell, rc::Rc};

use futures::{FutureExt, future::join_all};
use synctv_media::{
    access::NodeRequest,
    flv::{file_header, put_tag},
    samples,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use synctv_media::stream::frame::Frame;

use super::*;
use crate::{
    cluster::{origin::NodeAddresses, store::ClaimError},
    directory::{OpenError, StreamDirectory},
    events::{EndReason, Flush, Relocation, Source, StreamSettings, StreamState},
    hls::{HlsForm, HlsMode, HlsSessions},
    stream::{Publication, PublishError, StreamHandle},
    testing::{
        FakeStore, GRACE, Got, LINGER, PULL_GRACE, ProbeHandle, hls_settings, node_keys, node_with_hls,
        opening, request_head, room, settings, to_play, to_publish,
    },
};

const V: u8 = 9;

/// The port of another node.
struct Port(TcpListener);

impl Port {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// As the registry describes it.
    fn origin(&self, node: &str, epoch: u64) -> Origin {
        let httpflv = self.0.local_addr().unwrap().to_string();
        let addresses = NodeAddresses { rtmp: String::new(), httpflv, hls: None };
        Origin { node: node.to_owned(), epoch, addresses }
    }

    /// The next request, without an answer.
    async fn request(&self) -> (TcpStream, String) {
        let (mut socket, _) = self.0.accept().await.unwrap();
        let head = request_head(&mut socket).await.unwrap();
        (socket, head)
    }

    async fn refuse(&self, status: &str) {
        let (mut socket, _) = self.request().await;
        socket.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
    }

    /// The next request, answered with `frames`.
    async fn serve(&self, frames: Vec<Frame>) -> Pulled {
        let (mut socket, _) = self.request().await;
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        socket.write_all(&[head.as_slice(), &file_header(true, true)].concat()).await.unwrap();
        let mut pulled = Pulled(socket);
        pulled.send(frames).await;
        pulled
    }
}

/// The origin's end of a pull.
struct Pulled(TcpStream);

impl Pulled {
    async fn send(&mut self, frames: Vec<Frame>) {
        let mut flv = Vec::new();
        for frame in frames {
            put_tag(&mut flv, frame.track, frame.timestamp_ms.into(), &frame.payload);
        }
        self.0.write_all(&flv).await.unwrap();
    }

    /// Sends a video frame each second until the puller has closed its end.
    async fn talk(mut self) {
        let mut at_ms = 1_000;
        while timeout(Duration::from_secs(1), self.0.read_u8()).await.is_err() {
            self.send(vec![samples::inter(at_ms)]).await;
            at_ms += 1_000;
        }
    }

    /// Waits until the puller has closed its end.
    async fn is_closed(&mut self) -> bool {
        self.0.read_u8().await.is_err()
    }
}

/// A node on a store of the test's, and the port of another node.
struct Bench {
    store: FakeStore,
    directory: StreamDirectory,
    port: Port,
}

impl Bench {
    /// Publishes the room on this node.
    async fn publish(&self, publisher: &ProbeHandle) -> Result<Publication, PublishError> {
        self.directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await
    }

    async fn watch(&self) -> Result<StreamHandle, OpenError> {
        self.directory.open(&to_play(room("r"))).await
    }

    async fn new() -> Self {
        Self::with(settings(), None).await
    }

    async fn with(settings: StreamSettings, hls: Option<HlsSessions>) -> Self {
        tokio::time::pause();
        let store = FakeStore::new();
        let claims = store.clone();
        let directory = node_with_hls(settings, 2, move || claims, hls);
        let port = Port::open().await;
        store.locate_at(Ok(Some(port.origin("n2", 7))));
        Self { store, directory, port }
    }

    /// A viewer's stream, pulled from the port, which sends `frames` first.
    async fn open(&self, frames: Vec<Frame>) -> (StreamHandle, Pulled) {
        let (stream, pulled) = tokio::join!(self.watch(), self.port.serve(frames));
        (stream.unwrap(), pulled)
    }

    /// A viewer who has seen the keyframe at 0.
    async fn watched(&self) -> (ProbeHandle, StreamHandle, Pulled) {
        let (stream, mut pulled) = self.open(Vec::new()).await;
        let mut viewer = ProbeHandle::start();
        viewer.join(&stream, 0);
        pulled.send(opening(0)).await;
        let mut times = Vec::new();
        while times.len() < 2 {
            times.extend(all_video(&mut viewer, 0).await);
        }
        assert_eq!(times, [0, 0], "the header and the frame");
        (viewer, stream, pulled)
    }
}

/// The times of video tags up to and with the first of `until_ms`. Headers have the time of what came before them.
async fn all_video(viewer: &mut ProbeHandle, until_ms: u32) -> Vec<u32> {
    let mut times = Vec::new();
    loop {
        match viewer.next().await {
            Got::Media { tags, .. } | Got::Join { tags, .. } => {
                times.extend(tags.iter().filter(|tag| tag.0 == V).map(|tag| tag.1));
            }
            other => panic!("{other:?} after {times:?}"),
        }
        if times.last() == Some(&until_ms) {
            return times;
        }
    }
}

#[actix_rt::test]
async fn a_viewer_gets_the_media_of_another_node_as_if_it_were_published_here() {
    let bench = Bench::new().await;
    let mut frames = opening(5_000);
    frames.push(samples::inter(5_033));
    let (stream, mut pulled) = bench.open(frames).await;
    assert_eq!(stream.state(), StreamState::Live(Source::Remote));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&stream, 3);
    assert_eq!(viewer.next().await, Got::Join { viewer: 3, tags: vec![(V, 5_000), (V, 5_033)] });
    pulled.send(vec![samples::inter(5_066)]).await;
    assert_eq!(viewer.next().await, Got::Media { after_gap: false, tags: vec![(V, 5_066)] });
}

#[actix_rt::test]
async fn what_another_node_merged_is_one_flush_here_too() {
    let flush = Flush::Every(Duration::from_millis(100));
    let (mut viewer, _stream, mut pulled) =
        Bench::with(StreamSettings { flush, ..settings() }, None).await.watched().await;
    let large = |at_ms: u32| {
        let frame = samples::inter(at_ms);
        Frame { payload: [&frame.payload[..], &[0; 10_000]].concat().into(), ..frame }
    };
    for start_ms in [100, 200, 300] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // More than is read at once.
        pulled.send([0, 33, 66].map(|after_ms| large(start_ms + after_ms)).into()).await;
        let burst = [0, 33, 66].map(|after_ms| (V, start_ms + after_ms));
        assert_eq!(viewer.next().await, Got::Media { after_gap: false, tags: burst.into() });
    }
}

#[actix_rt::test]
async fn the_origin_learns_that_a_node_asks() {
    let bench = Bench::new().await;
    let ((_, head), _) = tokio::join!(bench.port.request(), async {
        let _ = bench.watch().now_or_never();
        tokio::time::timeout(Duration::from_secs(1), bench.watch()).await
    });
    assert!(head.starts_with("GET /r.flv HTTP/1.1\r\n"), "{head}");
    let signature = head.lines().find_map(|line| line.strip_prefix("synctv-pull: ")).unwrap();
    let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
    let request = NodeRequest { method: "GET", host, path: "/r.flv" };
    assert_eq!(node_keys().verify(&request, signature), Ok(()));
}

#[actix_rt::test]
async fn however_many_come_at_once_the_origin_is_asked_once() {
    let bench = Bench::new().await;
    let viewers = join_all((0..50).map(|_| bench.watch()));
    let (opened, _pulled) = tokio::join!(viewers, bench.port.serve(opening(0)));
    let ids: Vec<_> = opened.into_iter().map(|stream| stream.unwrap().id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert!(bench.watch().await.is_ok());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.port.0.accept().now_or_never().is_none(), "no second connection");
}

#[actix_rt::test]
async fn pulled_rooms_have_a_limit_of_their_own_and_keep_no_publisher_out() {
    let bench = Bench::new().await;
    bench.store.locate_at(Ok(Some(bench.port.origin("n2", 7))));
    let pulls = ["x", "y"].map(|name| {
        let directory = bench.directory.clone();
        actix_rt::spawn(async move { directory.open(&to_play(room(name))).await })
    });
    // They wait for the origin's answer, and are counted meanwhile.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.directory.open(&to_play(room("z"))).await.unwrap_err(), OpenError::RoomLimit { max: 2 });
    let publisher = ProbeHandle::start();
    let _a = bench
        .directory
        .publish(&to_publish(room("a")), Relocation::AT_ONCE, publisher.events())
        .await
        .unwrap();
    let _x = bench
        .directory
        .publish(&to_publish(room("x")), Relocation::AT_ONCE, publisher.events())
        .await
        .unwrap();
    let over = bench.directory.publish(&to_publish(room("b")), Relocation::AT_ONCE, publisher.events()).await;
    assert_eq!(over.unwrap_err(), PublishError::RoomLimit { max: 2 });
    let z = bench.directory.clone();
    let freed = actix_rt::spawn(async move { z.open(&to_play(room("z"))).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!freed.is_finished(), "a pulled room that is published here is none of them any more");
    drop(pulls);
}

#[actix_rt::test]
async fn a_broken_connection_to_the_same_publication_leaves_no_trace() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, pulled) = bench.watched().await;
    drop(pulled);
    let mut frames = opening(0);
    frames.extend([samples::inter(33), samples::inter(66)]);
    let _pulled = bench.port.serve(frames).await;
    assert_eq!(all_video(&mut viewer, 66).await, [33, 66]);
}

#[actix_rt::test]
async fn media_of_a_pull_that_broke_unwatched_is_not_shown_twice() {
    let bench = Bench::new().await;
    let (viewer, stream, pulled) = bench.watched().await;
    stream.leave(viewer.id);
    drop(pulled);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut late = ProbeHandle::start();
    late.join(&stream, 0);
    let _pulled = bench.port.serve(opening(0)).await;
    assert_eq!(all_video(&mut late, 33).await, [0, 33], "headers, then the keyframe, once");
}

#[actix_rt::test]
async fn media_that_was_missed_is_a_splice() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, pulled) = bench.watched().await;
    drop(pulled);
    let _pulled = bench.port.serve(opening(8_000)).await;
    assert_eq!(all_video(&mut viewer, 33).await, [0, 33], "headers, then the keyframe");
}

#[actix_rt::test]
async fn viewers_follow_the_room_to_another_node_and_their_time_never_goes_back() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, mut pulled) = bench.watched().await;
    pulled.send(vec![samples::inter(4_000)]).await;
    assert_eq!(all_video(&mut viewer, 4_000).await, [4_000]);
    let next = Port::open().await;
    bench.store.locate_at(Ok(Some(next.origin("n3", 8))));
    drop(pulled);
    let mut pulled = next.serve(opening(0)).await;
    assert_eq!(all_video(&mut viewer, 4_033).await, [4_000, 4_033]);
    pulled.send(vec![samples::inter(40)]).await;
    assert_eq!(all_video(&mut viewer, 4_073).await, [4_073]);
}

#[actix_rt::test]
async fn viewers_are_let_go_when_no_node_has_the_room_for_the_grace() {
    let bench = Bench::new().await;
    let (mut viewer, stream, pulled) = bench.watched().await;
    bench.store.locate_at(Ok(None));
    drop(pulled);
    let left = Instant::now();
    assert_eq!(viewer.next().await, Got::End(EndReason::PublisherLeft));
    assert!(left.elapsed() >= PULL_GRACE && left.elapsed() < PULL_GRACE + Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!stream.is_alive());
    let asked = bench.store.lookups();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.store.lookups(), asked, "no further lookups");
}

#[actix_rt::test]
async fn an_unwatched_pull_ends_after_the_linger() {
    let bench = Bench::new().await;
    let (viewer, stream, pulled) = bench.watched().await;
    let closed = actix_rt::spawn(pulled.talk());
    stream.leave(viewer.id);
    tokio::time::sleep(LINGER - Duration::from_secs(1)).await;
    let again = bench.watch().await.unwrap();
    assert_eq!(again.id(), stream.id(), "it still runs");
    let mut viewer = ProbeHandle::start();
    viewer.join(&stream, 0);
    assert!(matches!(viewer.next().await, Got::Join { .. }));
    tokio::time::sleep(2 * LINGER).await;
    assert!(stream.is_alive(), "someone watches");
    let left = Instant::now();
    stream.leave(viewer.id);
    closed.await.unwrap();
    assert!(left.elapsed() >= LINGER && left.elapsed() < LINGER + Duration::from_secs(1));
    assert!(bench.directory.find(room("r")).await.unwrap().is_none());
}

#[actix_rt::test]
async fn a_pull_for_viewers_who_never_join_ends_too() {
    let bench = Bench::new().await;
    let (stream, pulled) = bench.open(opening(0)).await;
    pulled.talk().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!stream.is_alive());
}

#[actix_rt::test]
async fn an_unwatched_room_is_not_looked_up() {
    let bench = Bench::new().await;
    let publication = bench.publish(&ProbeHandle::start()).await.unwrap();
    publication.send(opening(0)).await.unwrap();
    drop(publication);
    tokio::time::sleep(2 * GRACE).await;
    assert_eq!(bench.store.lookups(), 0);
    assert!(bench.directory.find(room("r")).await.unwrap().is_none());
}
