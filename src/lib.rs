//! A live-streaming server: RTMP in, HTTP-FLV and HLS out.
//!
//! [`run`] wires the listeners to the actors, and reads from top to bottom.

mod cluster;
pub mod config;
mod drain;
pub mod http;
pub mod listeners;
pub mod log;
mod refusals;
pub mod rtmp;

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use actix_server::Server;
use synctv_actors::{
    hls::HlsHandle, permit::Permits, registry::redis_store::JoinError, relay::RelayHandle,
    router::RouterHandle,
};
use thiserror::Error;

use crate::{
    cluster::Place,
    config::Config,
    drain::{Drain, StopSignals},
    http::{api::Api, health::Health, hls::HlsSources},
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
    let Place { node_id, in_cluster, registry } = cluster::join(&config, &listeners).await?;
    let hls = config.hls_settings(in_cluster).map(HlsHandle::start);
    let stream_settings = config.stream_settings(&node_id);
    let router = RouterHandle::start(stream_settings, registry.clone(), config.max_rooms, hls.clone());
    let permits = Permits::new(config.max_connections);
    let lag = Arc::new(config.lag_limits());

    announce(&config, &listeners, &node_id);
    let rtmp_settings = Arc::new(config.rtmp_settings(lag.clone()));
    let info = config.server_info(&node_id, listeners.ports());
    let api = Arc::new(Api::new(info, router.clone(), registry.clone()));
    let http_settings = config.http_settings(lag);
    let (rtmp_router, rtmp_permits) = (router.clone(), permits.clone());
    let (flv_router, flv_permits) = (router.clone(), permits.clone());
    let health = Health::new(router.clone(), registry.clone());
    let signals = StopSignals::listen().map_err(RunError::Server)?;
    let drain = Drain {
        router: router.clone(),
        registry: registry.clone(),
        permits: permits.clone(),
        patience: if in_cluster { config.drain_timeout() } else { Duration::ZERO },
    };
    let mut server = Server::build()
        .workers(config.workers)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .listen("rtmp", listeners.rtmp, move || {
            rtmp::service(rtmp_router.clone(), rtmp_settings.clone(), rtmp_permits.clone())
        })
        .and_then(|server| {
            server.listen("httpflv", listeners.httpflv, move || {
                http::service(
                    flv_router.clone(),
                    api.clone(),
                    health.clone(),
                    http_settings.clone(),
                    flv_permits.clone(),
                )
            })
        })
        .map_err(RunError::Server)?;
    if let (Some(hls), Some(listener)) = (hls.clone(), listeners.hls) {
        let port = config.hls_port();
        let relay = RelayHandle::start(registry, config.relay_settings(&node_id));
        let sources = HlsSources { hls, router, relay };
        server = server
            .listen("hls", listener, move || {
                http::hls::service(sources.clone(), port.clone(), permits.clone())
            })
            .map_err(RunError::Server)?;
    }
    let server = server.run();
    actix_rt::spawn(drain.on_signal(signals, server.handle()));
    let served = server.await.map_err(RunError::Server);
    if let Some(hls) = hls {
        // A disk that hangs is no reason to stay.
        let _ = tokio::time::timeout(CLEAR_TIMEOUT, hls.clear()).await;
    }
    served
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
