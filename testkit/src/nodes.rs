//! Nodes in this process, each with its own threads and ports, that share claims in memory.

use std::{
    io::Write,
    net::SocketAddr,
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_server::ServerHandle;
use clap::Parser;
use synctv_actors::cluster::{
    origin::{NodeAddresses, PULL_HEADER},
    registry::RegistryHandle,
};
use synctv_media::access::{NodeRequest, Secret};
use synctv_stream::{Place, config::Config, listeners::Listeners, start};
use tempfile::TempDir;

use crate::{
    claims::{SharedClaims, SharedStore},
    flv::FlvViewer,
    hls::HlsClient,
    http::send_get,
    rtmp::{Client, Refused, RtmpPeer},
    socket::dial,
    wait::poll_until,
};

const HEARTBEAT: Duration = Duration::from_secs(60);

/// The secret of the nodes of a [`TestCluster`]. A server that is to be one of them gets it as its `--cluster-secret`.
pub const CLUSTER_SECRET: &str = "a secret that test nodes share with 32 bytes or more";

/// Signs a request as a node of a [`TestCluster`] does: the value of its `Synctv-Pull` header.
pub fn pull_signature(method: &str, host: &str, path: &str) -> String {
    let secret = Secret::new(CLUSTER_SECRET.as_bytes()).expect("it is long enough");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    NodeRequest { method, host, path }.sign(&secret, "other", now.as_secs())
}

/// Returns the request of a node that pulls a room.
pub fn pull_request(room: &str) -> String {
    let path = format!("/{room}.flv");
    let signature = pull_signature("GET", "n", &path);
    format!("GET {path} HTTP/1.1\r\nHost: n\r\n{PULL_HEADER}: {signature}\r\n\r\n")
}

/// The nodes' common memory, and where they are started.
#[derive(Debug, Clone, Default)]
pub struct TestCluster {
    /// The claims of all nodes.
    pub claims: SharedClaims,
}

/// A running node; it stops when this is dropped.
pub struct TestNode {
    claims: SharedClaims,
    name: String,
    /// Address for publishers and RTMP players.
    pub rtmp: SocketAddr,
    /// Address for HTTP-FLV viewers, the API and the pages.
    pub http: SocketAddr,
    hls: Option<HlsClient>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    _storage: Option<TempDir>,
}

impl TestCluster {
    /// Starts a node without HLS, with further flags.
    pub fn node(&self, name: &str, flags: &[&str]) -> TestNode {
        self.start(name, &[&["--hls", "off"], flags].concat(), None)
    }

    /// Starts a node with HLS, its segments in a directory of its own.
    pub fn node_with_hls(&self, name: &str, flags: &[&str]) -> TestNode {
        let storage = tempfile::tempdir().expect("a directory for segments");
        let path = storage.path().display().to_string();
        let hls = ["--hls-addr", "127.0.0.1:0", "--hls-storage", &path];
        self.start(name, &[&hls, flags].concat(), Some(storage))
    }

    fn start(&self, name: &str, flags: &[&str], storage: Option<TempDir>) -> TestNode {
        let fixed = ["synctv-stream", "--rtmp-addr", "127.0.0.1:0", "--httpflv-addr", "127.0.0.1:0"];
        let own = ["--workers", "2", "--node-id", name, "--cluster-secret", CLUSTER_SECRET];
        // On a busy machine, a test may not get to its peers for longer than the defaults.
        let limits = ["--handshake-timeout-s", "60", "--idle-timeout-s", "60", "--publisher-timeout-s", "60"];
        let webrtc: &[&str] = if flags.contains(&"--rtc-addr") { &[] } else { &["--rtc-addr", "off"] };
        let config = Config::parse_from(fixed.iter().chain(&own).chain(&limits).chain(webrtc).chain(flags));
        let listeners = Listeners::bind(&config).expect("ports are free");
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let ports = listeners.ports();
        let (rtmp, http, hls) = (at(ports.rtmp), at(ports.httpflv), ports.hls.map(at));
        let hls_address = hls.map(|address| address.to_string());
        let addresses = NodeAddresses { rtmp: rtmp.to_string(), httpflv: http.to_string(), hls: hls_address };
        self.claims.join(name, addresses);
        let (server, thread) = run(name, config, listeners, self.claims.store(name));
        TestNode {
            claims: self.claims.clone(),
            name: name.to_owned(),
            rtmp,
            http,
            hls: hls.map(HlsClient::new),
            server,
            thread: Some(thread),
            _storage: storage,
        }
    }
}

/// Runs a node on a thread of its own.
fn run(
    name: &str,
    config: Config,
    listeners: Listeners,
    store: SharedStore,
) -> (ServerHandle, JoinHandle<()>) {
    let (started, handle) = mpsc::channel();
    let node_id = name.to_owned();
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let registry = RegistryHandle::start(HEARTBEAT, move || store);
            let place = Place { node_id, in_cluster: true, incarnation: 1, registry, access: None };
            let server = start(&config, listeners, place).await.expect("the listeners are good");
            started.send(server.handle()).expect("the test waits");
            server.await.expect("the server ends well");
        });
    });
    (handle.recv().expect("the node starts"), thread)
}

impl TestNode {
    /// Returns the URL at which a publisher or RTMP player of `room` connects.
    pub fn rtmp_url(&self, room: &str) -> String {
        format!("rtmp://{}/live/{room}", self.rtmp)
    }

    /// Returns the URL at which a viewer of `room` asks.
    pub fn flv_url(&self, room: &str) -> String {
        format!("http://{}/{room}.flv", self.http)
    }

    /// Publishes a room.
    pub fn publish(&self, room: &str) -> RtmpPeer {
        self.try_publish(room).expect("the publish is accepted")
    }

    /// Asks to publish a room.
    pub fn try_publish(&self, room: &str) -> Result<RtmpPeer, Refused> {
        RtmpPeer::start(dial(self.rtmp), Client::publisher("live", room))
    }

    /// Publishes as soon as the room is free.
    pub fn publish_when_free(&self, room: &str) -> RtmpPeer {
        poll_until("the room is free", || self.try_publish(room).ok())
    }

    /// Plays a room over RTMP.
    pub fn play(&self, room: &str) -> RtmpPeer {
        RtmpPeer::start(dial(self.rtmp), Client::player("live", room)).expect("the play is accepted")
    }

    /// Watches a room over HTTP-FLV.
    pub fn watch(&self, room: &str) -> FlvViewer {
        let mut socket = dial(self.http);
        send_get(&mut socket, &format!("/{room}.flv"));
        FlvViewer::of(socket)
    }

    /// Watches as soon as the room is live.
    pub fn watch_when_live(&self, room: &str) -> FlvViewer {
        poll_until("the room is live", || FlvViewer::try_open_at(self.http, room).ok())
    }

    /// Watches as another node does.
    pub fn pull(&self, room: &str) -> FlvViewer {
        let mut socket = dial(self.http);
        socket.write_all(pull_request(room).as_bytes()).expect("the node takes the request");
        FlvViewer::of(socket)
    }

    /// Returns a client of the HLS port.
    pub fn hls(&self) -> HlsClient {
        self.hls.expect("HLS is on")
    }

    /// Ends the node with all its connections; its lease lapses at once.
    pub fn die(mut self) {
        self.stop();
        self.claims.leave(&self.name);
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The order is given at once; the future only waits for its end, as the thread's end does.
            drop(self.server.stop(false));
            let _ = thread.join();
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.stop();
    }
}
