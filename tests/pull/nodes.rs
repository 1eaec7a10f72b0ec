//! Nodes, and the claims that they share.

use std::{
    collections::HashMap,
    future::ready,
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use actix_server::{Server, ServerHandle};
use clap::Parser;
use futures::{FutureExt, future::LocalBoxFuture};
use synctv_actors::{
    cluster::{
        origin::{NodeAddresses, Origin, PULL_HEADER, PublishedRoom},
        registry::{ClaimError, RegistryHandle},
        store::{Claim, Granted, Store, StoreError, UsedClaim},
    },
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    flv::viewers::ViewerPool,
};
use synctv_media::{rtmp::client::Client, stream::room::RoomName};
use synctv_stream::{
    config::Config,
    http::{self, api::Api, health::Health},
    listeners::Listeners,
    rtmp,
};

use crate::support::{
    PATIENCE,
    flv_viewer::{FlvViewer, ask},
    now,
    rtmp_peer::{Refused, RtmpPeer, dial},
};

const HEARTBEAT: Duration = Duration::from_secs(60);

/// What the nodes share.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    last_epoch: u64,
    rooms: HashMap<RoomName, (String, u64)>,
    nodes: HashMap<String, NodeAddresses>,
}

/// A running node; it stops when this is dropped.
pub struct Node {
    cluster: Cluster,
    name: String,
    /// Where to push, and where to play.
    pub rtmp: SocketAddr,
    /// Where to watch.
    pub http: SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts a node with further settings.
    pub fn node(&self, name: &str, flags: &[&str]) -> Node {
        let fixed = ["synctv-stream", "--rtmp-addr", "127.0.0.1:0", "--httpflv-addr", "127.0.0.1:0"];
        let own = ["--hls", "off", "--workers", "2", "--node-id", name];
        let config = Config::parse_from(fixed.iter().chain(&own).chain(flags));
        let listeners = Listeners::bind(&config).expect("ports are free");
        let rtmp = listeners.rtmp.local_addr().expect("it is bound");
        let http = listeners.httpflv.local_addr().expect("it is bound");
        let addresses = NodeAddresses { rtmp: rtmp.to_string(), httpflv: http.to_string(), hls: None };
        self.join(name, addresses);
        let store = NodeStore { node: name.to_owned(), cluster: self.clone() };
        let (started, handle) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = serve(&config, listeners, store);
                started.send(server.handle()).expect("the test waits");
                server.await.expect("the server ends well");
            });
        });
        let server = handle.recv().expect("the node starts");
        Node { cluster: self.clone(), name: name.to_owned(), rtmp, http, server, thread: Some(thread) }
    }

    /// Tells everyone where a node is reached.
    pub fn join(&self, node: &str, addresses: NodeAddresses) {
        self.table().nodes.insert(node.to_owned(), addresses);
    }

    /// Claims a room for a node as if someone published it there.
    pub fn claim(&self, node: &str, room: &str) {
        let store = NodeStore { node: node.to_owned(), cluster: self.clone() };
        store.take(&RoomName::new(room).expect("a name")).expect("the room is free");
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(config: &Config, listeners: Listeners, store: NodeStore) -> Server {
    let node_id = config.node_id(listeners.ports().rtmp);
    let registry = RegistryHandle::start(HEARTBEAT, move || store);
    let directory =
        StreamDirectory::start(config.stream_settings(&node_id), registry.clone(), config.max_rooms, None);
    let (permits, lag) = (ConnectionLimit::new(config.max_connections), Arc::new(config.lag_limits()));
    let (rtmp_settings, http_settings) =
        (Arc::new(config.rtmp_settings(lag.clone())), config.http_settings());
    let audience = ViewerPool::new(lag);
    let api = Arc::new(Api::new(
        config.server_info(&node_id, listeners.ports()),
        directory.clone(),
        registry.clone(),
    ));
    let health = Health::new(directory.clone(), registry);
    let (rtmp_router, rtmp_permits) = (directory.clone(), permits.clone());
    Server::build()
        .workers(config.workers)
        .disable_signals()
        .listen("rtmp", listeners.rtmp, move || {
            rtmp::service(rtmp_router.clone(), rtmp_settings.clone(), rtmp_permits.clone())
        })
        .and_then(|server| {
            server.listen("httpflv", listeners.httpflv, move || {
                http::service(
                    directory.clone(),
                    api.clone(),
                    health.clone(),
                    http_settings.clone(),
                    audience.clone(),
                    permits.clone(),
                )
            })
        })
        .expect("the listeners are good")
        .run()
}

impl Node {
    pub fn publish(&self, room: &str) -> RtmpPeer {
        self.try_publish(room).expect("the publish is accepted")
    }

    pub fn try_publish(&self, room: &str) -> Result<RtmpPeer, Refused> {
        RtmpPeer::start(dial(self.rtmp), Client::publisher("live", room))
    }

    /// Publishes as soon as the room is free.
    pub fn publish_when_free(&self, room: &str) -> RtmpPeer {
        let deadline = now() + PATIENCE;
        loop {
            match self.try_publish(room) {
                Ok(publisher) => return publisher,
                Err(refused) => assert!(now() < deadline, "{refused:?}"),
            }
        }
    }

    pub fn play(&self, room: &str) -> RtmpPeer {
        RtmpPeer::start(dial(self.rtmp), Client::player("live", room)).expect("the play is accepted")
    }

    pub fn watch(&self, room: &str) -> FlvViewer {
        let mut socket = dial(self.http);
        ask(&mut socket, &format!("/{room}.flv"));
        FlvViewer::of(socket)
    }

    /// Watches as soon as there is anything to watch.
    pub fn watch_when_live(&self, room: &str) -> FlvViewer {
        let deadline = now() + PATIENCE;
        loop {
            match FlvViewer::try_open_at(self.http, room) {
                Ok(viewer) => return viewer,
                Err(refused) => assert!(now() < deadline, "{refused:?}"),
            }
        }
    }

    /// Watches as another node does.
    pub fn pull(&self, room: &str) -> FlvViewer {
        let mut socket = dial(self.http);
        let request = format!("GET /{room}.flv HTTP/1.1\r\nHost: n\r\n{PULL_HEADER}: other\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("the node takes the request");
        FlvViewer::of(socket)
    }

    /// The node is gone, with all its connections; the others find that its lease has lapsed.
    pub fn die(mut self) {
        self.stop();
        self.cluster.table().nodes.remove(&self.name);
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The order is given at once; the future only waits for its end, as the thread's end does.
            drop(self.server.stop(false));
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A node's view of the claims.
struct NodeStore {
    node: String,
    cluster: Cluster,
}

impl NodeStore {
    fn take(&self, room: &RoomName) -> Result<Claim, ClaimError> {
        let mut table = self.cluster.table();
        if let Some((node, _)) = table.rooms.get(room).filter(|(node, _)| table.nodes.contains_key(node)) {
            return Err(ClaimError::Taken { node: node.clone() });
        }
        table.last_epoch += 1;
        let epoch = table.last_epoch;
        table.rooms.insert(room.clone(), (self.node.clone(), epoch));
        Ok(Claim { room: room.clone(), epoch })
    }

    fn find(&self, room: &RoomName) -> Option<Origin> {
        let table = self.cluster.table();
        let (node, epoch) = table.rooms.get(room).filter(|(node, _)| *node != self.node)?;
        let addresses = table.nodes.get(node)?.clone();
        Some(Origin { node: node.clone(), epoch: *epoch, addresses })
    }

    fn free(&self, claim: &Claim) {
        let mut table = self.cluster.table();
        if table.rooms.get(&claim.room).is_some_and(|(_, epoch)| *epoch == claim.epoch) {
            table.rooms.remove(&claim.room);
        }
    }
}

impl Store for NodeStore {
    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        ready(self.take(room).map(Granted::from)).boxed_local()
    }

    fn renew(&self, _: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        ready(Ok(Vec::new())).boxed_local()
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.free(&claim);
        ready(Ok(())).boxed_local()
    }

    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        ready(Ok(self.find(room))).boxed_local()
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        ready(Ok(Vec::new())).boxed_local()
    }
}
