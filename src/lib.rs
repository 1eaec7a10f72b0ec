//! A live-streaming server: RTMP in, HTTP-FLV and HLS out.
//!
//! [`run`] wires the listeners to the actors, and reads from top to bottom.

mod cluster;
pub mod config;
mod drain;
pub mod http;
pub mod listeners;
pub mod log;
mod refusal_log;
pub mod rtmp;

use std::{
    io::{self, Write},
    net::TcpListener,
    sync::Arc,
    time::Duration,
};

use actix_server::{Server, ServerBuilder};
use synctv_actors::{
    cluster::redis_store::JoinError,
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    flv::viewers::ViewerPool,
    hls::{HlsSessions, proxy::HlsProxy},
    rtmp::connection::RtmpSettings,
};
use thiserror::Error;

use crate::{
    cluster::Place,
    config::Config,
    drain::{Drain, StopSignals},
    http::{
        HttpSettings,
        api::{Api, ServerInfo},
        health::Health,
        hls::HlsSources,
    },
    listeners::Listeners,
};

/// How long requests that are being answered may take when the server stops, in seconds. Live media does not end by
/// itself and is not waited for.
const SHUTDOWN_TIMEOUT_S: u64 = 3;

/// How long deleting the segments may take when the server stops.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the server did not start, or stopped.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("{setting}={addr}: {source}")]
    Listen {
        /// The setting's name.
        setting: &'static str,
        /// The address.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster could not be joined.
    #[error("REDIS_URL: {0}")]
    Unreachable(JoinError),
    /// Another process has this one's name.
    #[error(transparent)]
    NameInUse(JoinError),
    /// The threads that serve could not be started or ended badly.
    #[error("the server stopped: {0}")]
    Server(io::Error),
}

/// Serves until a signal to stop.
pub fn run(config: Config) -> Result<(), RunError> {
    raise_open_files_limit();
    let listeners = Listeners::bind(&config)?;
    run_on(config, listeners)
}

/// Like [`run`], on listeners that are bound already.
pub fn run_on(config: Config, listeners: Listeners) -> Result<(), RunError> {
    actix_rt::System::new().block_on(serve(config, listeners))
}

async fn serve(config: Config, listeners: Listeners) -> Result<(), RunError> {
    let signals = StopSignals::listen().map_err(RunError::Server)?;
    let node = Node::start(&config, cluster::join(&config, &listeners).await?);
    announce(&config, &listeners, &node.place.node_id);
    let server = node.listen(&config, listeners).map_err(RunError::Server)?.run();
    actix_rt::spawn(node.drain(&config).on_signal(signals, server.handle()));
    let served = server.await.map_err(RunError::Server);
    if let Some(hls) = &node.hls {
        // A disk that hangs is no reason to stay.
        let _ = tokio::time::timeout(CLEAR_TIMEOUT, hls.clear()).await;
    }
    served
}

/// The actors behind the ports.
struct Node {
    place: Place,
    directory: StreamDirectory,
    hls: Option<HlsSessions>,
    permits: ConnectionLimit,
}

impl Node {
    fn start(config: &Config, place: Place) -> Self {
        let hls = config.hls_settings(place.in_cluster).map(HlsSessions::start);
        let streams = config.stream_settings(&place.node_id);
        let directory =
            StreamDirectory::start(streams, place.registry.clone(), config.max_rooms, hls.clone());
        Self { place, directory, hls, permits: ConnectionLimit::new(config.max_connections) }
    }

    fn listen(&self, config: &Config, listeners: Listeners) -> io::Result<ServerBuilder> {
        let ports = listeners.ports();
        let lag = Arc::new(config.lag_limits());
        let server = Server::build()
            .workers(config.workers)
            // The limit is MAX_CONNECTIONS. A thread at one of its own would leave others unanswered, probes among them.
            .max_concurrent_connections(usize::MAX)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_TIMEOUT_S);
        let server = self.listen_rtmp(server, config.rtmp_settings(lag.clone()), listeners.rtmp)?;
        let info = config.server_info(&self.place.node_id, ports);
        let viewer_pool = ViewerPool::new(lag);
        let server =
            self.listen_httpflv(server, config.http_settings(), viewer_pool, info, listeners.httpflv)?;
        match (&self.hls, listeners.hls) {
            (Some(hls), Some(listener)) => self.listen_hls(server, config, hls.clone(), listener),
            _ => Ok(server),
        }
    }

    fn listen_rtmp(
        &self,
        server: ServerBuilder,
        settings: RtmpSettings,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (directory, settings, permits) =
            (self.directory.clone(), Arc::new(settings), self.permits.clone());
        server.listen("rtmp", listener, move || {
            rtmp::service(directory.clone(), settings.clone(), permits.clone())
        })
    }

    fn listen_httpflv(
        &self,
        server: ServerBuilder,
        settings: HttpSettings,
        viewer_pool: ViewerPool,
        info: ServerInfo,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (directory, permits) = (self.directory.clone(), self.permits.clone());
        let api = Arc::new(Api::new(info, directory.clone(), self.place.registry.clone()));
        let health = Health::new(directory.clone(), self.place.registry.clone());
        server.listen("httpflv", listener, move || {
            http::service(
                directory.clone(),
                api.clone(),
                health.clone(),
                settings.clone(),
                viewer_pool.clone(),
                permits.clone(),
            )
        })
    }

    fn listen_hls(
        &self,
        server: ServerBuilder,
        config: &Config,
        hls: HlsSessions,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (port, permits) = (config.hls_port(), self.permits.clone());
        let settings = config.hls_proxy_settings(&self.place.node_id);
        let proxy = HlsProxy::start(self.place.registry.clone(), settings, hls.fetched_memory());
        let sources = HlsSources { hls, directory: self.directory.clone(), proxy };
        server.listen("hls", listener, move || {
            http::hls::service(sources.clone(), port.clone(), permits.clone())
        })
    }

    fn drain(&self, config: &Config) -> Drain {
        Drain {
            directory: self.directory.clone(),
            registry: self.place.registry.clone(),
            permits: self.permits.clone(),
            patience: if self.place.in_cluster { config.drain_timeout() } else { Duration::ZERO },
        }
    }
}

/// A viewer is a file descriptor, and the usual limit of 1024 is for shells.
fn raise_open_files_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        ::log::warn!(reason:% = error; "the limit of open files could not be raised");
    }
}

/// Says where to push and where to watch.
fn announce(config: &Config, listeners: &Listeners, node_id: &str) {
    let app = &config.rtmp_app;
    let mut lines = vec![
        format!("push   rtmp://{}/{app}/ROOM", listeners.rtmp_address()),
        format!("watch  http://{}/ROOM.flv", listeners.httpflv_address()),
    ];
    if let Some(address) = listeners.hls_address() {
        lines.push(format!("hls    http://{address}/{app}/ROOM/index.m3u8"));
    }
    lines.push(format!("page   http://{}/", listeners.httpflv_address()));
    // The server is no less useful if nobody reads it.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
    ::log::info!(node = node_id, workers = config.workers; "started");
}
