use std::{
    net::Ipv4Addr,
    sync::Arc,
    thread::{self, ThreadId},
    time::Instant,
};

use actix_rt::{Arbiter, ArbiterHandle};
use bytes::Bytes;
use synctv_media::{
    cluster::standing::NodeUrl,
    flv::reader::FlvReader,
    samples,
    stream::{frame::Frame, viewer_queue::LagLimits, wire_format::WireFormat},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

use super::{NewPlayer, NewViewer, Player, PlayerRequest, PoolEntry, ViewerKind, ViewerPool};
use crate::{
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    events::Relocation,
    stream::{Publication, StreamHandle},
    testing::{PATIENCE, ProbeHandle, node, opening, poll_until, room, settings, to_play, to_publish},
    upgrade::{lot::ParkingLot, states::ConversationState},
    viewer_session::LeaveReason,
    viewer_socket::ViewerSocket,
};

/// More than the kernel holds for a connection.
const FLOOD_BYTES: usize = 32 << 20;

/// A stream on the test's thread.
struct Live {
    pool: ViewerPool,
    stream: StreamHandle,
    publication: Publication,
    permits: ConnectionLimit,
    _router: StreamDirectory,
    _publisher: ProbeHandle,
}

impl Live {
    async fn start() -> Self {
        let limits =
            LagLimits { queue_max_bytes: 2 * FLOOD_BYTES, queue_max_ms: 60_000, stall_max: PATIENCE };
        let (directory, publisher) = (node(settings(), 10), ProbeHandle::start());
        let publication =
            directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
        publication.send(opening(0)).await.unwrap();
        let stream = directory.open(&to_play(room("r"))).await.unwrap();
        let (pool, permits) = (ViewerPool::new(Arc::new(limits)), ConnectionLimit::new(100));
        Self { pool, stream, publication, permits, _router: directory, _publisher: publisher }
    }

    /// A viewer whom the current thread accepts, and its peer's side.
    async fn viewer(permits: &ConnectionLimit) -> (NewViewer, std::net::TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let permit = permits.take().unwrap();
        let viewer = NewViewer {
            wire: socket.into(),
            peer,
            head: Bytes::new(),
            permit,
            kind: ViewerKind::Viewer,
            wants_notice: false,
            format: WireFormat::Flv,
            access: None,
            asked: tokio::time::Instant::now(),
        };
        (viewer, client)
    }

    /// A viewer whom the test's thread accepts.
    async fn admit(&self, entry: &PoolEntry) -> Client {
        let (viewer, client) = Self::viewer(&self.permits).await;
        entry.admit(&self.stream, viewer);
        Client::new(client)
    }

    /// A viewer whom another thread accepts, which then closes its entry.
    async fn admit_on(&self, arbiter: &ArbiterHandle) -> Client {
        let (pool, stream, permits) = (self.pool.clone(), self.stream.clone(), self.permits.clone());
        let (sender, client) = oneshot::channel();
        arbiter.spawn(async move {
            let (viewer, client) = Self::viewer(&permits).await;
            pool.open_entry().admit(&stream, viewer);
            sender.send(client).unwrap();
        });
        Client::new(client.await.unwrap())
    }

    /// The entry of another thread.
    async fn entry_on(&self, arbiter: &ArbiterHandle) -> PoolEntry {
        let pool = self.pool.clone();
        let (sender, entry) = oneshot::channel();
        arbiter.spawn_fn(move || sender.send(pool.open_entry()).unwrap());
        entry.await.unwrap()
    }
}

/// The peer of a viewer.
struct Client {
    socket: TcpStream,
    reader: FlvReader,
}

impl Client {
    fn new(socket: std::net::TcpStream) -> Self {
        Self { socket: TcpStream::from_std(socket).unwrap(), reader: FlvReader::new(FLOOD_BYTES) }
    }

    /// Reads up to a frame with this payload.
    async fn wait_for(&mut self, frame: &Frame) {
        let mut buffer = vec![0; 64 * 1024];
        let found = timeout(PATIENCE, async {
            loop {
                while let Some(came) = self.reader.next_frame().unwrap() {
                    if came.payload == frame.payload {
                        return;
                    }
                }
                let size_bytes = self.socket.read(&mut buffer).await.unwrap();
                assert_ne!(size_bytes, 0, "the stream goes on");
                self.reader.feed(&buffer[..size_bytes]);
            }
        });
        found.await.expect("the frame comes");
    }
}

#[actix_rt::test]
async fn a_rooms_viewers_are_on_the_thread_of_its_stream_whichever_accepted_them() {
    let live = Live::start().await;
    let other = Arbiter::new();
    let _other_entry = live.entry_on(&other.handle()).await;
    let entry = live.pool.open_entry();
    let mut clients = [live.admit(&entry).await, live.admit_on(&other.handle()).await];
    assert_eq!((live.pool.shares(), live.pool.workers()), (vec![2], vec![0, 2]));
    let keyframe = samples::keyframe(33);
    live.publication.send(vec![keyframe.clone()]).await.unwrap();
    for client in &mut clients {
        client.wait_for(&keyframe).await;
    }
    other.stop();
}

#[actix_rt::test]
async fn a_slow_viewer_outlives_the_thread_that_accepted_it() {
    let live = Live::start().await;
    let _entry = live.pool.open_entry();
    let other = Arbiter::new();
    let mut client = live.admit_on(&other.handle()).await;
    client.wait_for(&opening(0)[2]).await;
    other.stop();
    other.join().unwrap();
    let flood = Frame { payload: vec![0x27; FLOOD_BYTES / 4].into(), ..samples::inter(33) };
    live.publication.send(vec![flood; 4]).await.unwrap();
    let keyframe = samples::keyframe(66);
    live.publication.send(vec![keyframe.clone()]).await.unwrap();
    client.wait_for(&keyframe).await;
}

#[actix_rt::test]
async fn a_viewer_on_its_way_keeps_its_actor_from_stopping() {
    let live = Live::start().await;
    let entry = live.pool.open_entry();
    // The actor has not run yet.
    let mut client = live.admit(&entry).await;
    let key = live.pool.only_key();
    assert!(!key.close_if_empty());
    client.wait_for(&opening(0)[2]).await;
}

#[actix_rt::test]
async fn a_viewer_who_comes_to_a_closed_share_gets_another_one() {
    let live = Live::start().await;
    let entry = live.pool.open_entry();
    let client = live.admit(&entry).await;
    let first = live.pool.only_key();
    drop(client);
    poll_until(async || live.pool.shares().is_empty()).await;
    assert!(first.close_if_empty());
    let mut client = live.admit(&entry).await;
    let second = live.pool.only_key();
    assert_ne!(second.id, first.id);
    // The late end of the first one does not take the second one's place away.
    drop(first);
    assert_eq!(live.pool.shares(), [1]);
    client.wait_for(&opening(0)[2]).await;
}

#[actix_rt::test]
async fn nothing_is_kept_of_viewers_who_left_and_of_threads_that_ended() {
    let live = Live::start().await;
    let entry = live.pool.open_entry();
    let other = Arbiter::new();
    let clients = [live.admit(&entry).await, live.admit_on(&other.handle()).await];
    assert_eq!(live.pool.workers(), [2], "the other thread closed its entry");
    drop(clients);
    poll_until(async || live.pool.shares().is_empty()).await;
    assert_eq!(live.pool.workers(), [0]);
    assert_eq!((live.permits.held(), live.stream.viewers()), (0, 0));
    drop(entry);
    assert!(live.pool.workers().is_empty());
    other.stop();
}

#[actix_rt::test]
async fn a_node_that_closes_its_side_leaves_though_nothing_is_sent_to_it() {
    let live = Live::start().await;
    let entry = live.pool.open_entry();
    let (viewer, client) = Live::viewer(&live.permits).await;
    entry.admit(&live.stream, NewViewer { kind: ViewerKind::Node, ..viewer });
    let mut client = Client::new(client);
    client.wait_for(&opening(0)[2]).await;
    drop(client);
    poll_until(async || live.permits.held() == 0).await;
}

/// The protocol's side of a player that asks for what the test has it ask for, once something was read.
#[derive(Debug)]
struct ScriptedPlayer {
    requests: Vec<PlayerRequest>,
    script: Vec<PlayerRequest>,
    released: Option<oneshot::Sender<(ViewerSocket, String, ThreadId)>>,
}

impl Player for ScriptedPlayer {
    fn park(self: Box<Self>, _: &ParkingLot) -> ConversationState {
        unreachable!("it plays in no upgrade")
    }

    fn receive(&mut self, socket: &mut ViewerSocket, _: Instant) -> Result<(), LeaveReason> {
        socket.read_announced().try_read(&mut [0; 64])?;
        self.requests.append(&mut self.script);
        Ok(())
    }

    fn next_request(&mut self) -> Option<PlayerRequest> {
        self.requests.pop()
    }

    fn request_reconnect(&mut self, _: &mut ViewerSocket, _: Option<&NodeUrl>, _: Instant) -> bool {
        false
    }

    fn release(mut self: Box<Self>, socket: ViewerSocket, reason: &LeaveReason) {
        let released = (socket, reason.to_string(), thread::current().id());
        self.released.take().unwrap().send(released).unwrap();
    }
}

#[actix_rt::test]
async fn a_player_from_another_thread_is_served_at_the_stream_and_gets_its_socket_back() {
    let live = Live::start().await;
    let _entry = live.pool.open_entry();
    let other = Arbiter::new();
    let (pool, stream, permits) = (live.pool.clone(), live.stream.clone(), live.permits.clone());
    let (sender, client) = oneshot::channel();
    let (released, is_released) = oneshot::channel();
    other.handle().spawn(async move {
        let (NewViewer { wire, peer, .. }, client) = Live::viewer(&permits).await;
        let now = tokio::time::Instant::now();
        let socket = ViewerSocket::new(wire, WireFormat::Flv, now.into_std());
        let script = vec![PlayerRequest::Stop, PlayerRequest::Resume, PlayerRequest::Pause];
        let player = Box::new(ScriptedPlayer { requests: Vec::new(), script, released: Some(released) });
        pool.admit_player(&stream, NewPlayer { socket, peer, player, access: None, asked: now });
        sender.send(client).unwrap();
    });
    let mut client = Client::new(client.await.unwrap());
    client.wait_for(&opening(0)[2]).await;
    assert_eq!(live.pool.shares(), [1]);
    client.socket.write_all(b"stop").await.unwrap();
    let (socket, reason, thread) = timeout(PATIENCE, is_released).await.expect("it stops").unwrap();
    assert_eq!((reason.as_str(), thread), ("stopped playing", thread::current().id()));
    assert!(socket.sent_bytes() > 0);
    poll_until(async || live.pool.shares().is_empty()).await;
    other.stop();
}
