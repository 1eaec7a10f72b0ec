//! A live-streaming server: RTMP in; HTTP-FLV, HLS and WebRTC out.
//!
//! [`run`] wires the listeners to the actors, and reads from top to bottom.

pub mod access;
mod cluster;
pub mod config;
pub mod console;
pub mod drain;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
pub mod http;
mod line_limit;
pub mod listeners;
pub mod log;
pub mod metrics;
mod node_call;
mod ports;
mod refusal_log;
pub mod rtmp;
mod run_error;
pub mod tls;
pub mod webrtc;

use std::{
    io::{self, Write},
    net::{TcpListener, UdpSocket},
    panic::AssertUnwindSafe,
    sync::Arc,
    thread,
    time::Duration,
};

use actix_server::{Server, ServerBuilder};
use futures::FutureExt;
use synctv_actors::{
    access::{Gatekeeper, Orders, RandomError},
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    hls::{HlsSessions, proxy::HlsProxy},
    rtmp::{RtmpServices, RtmpSettings},
    tls::Handshaker,
    viewers::ViewerPool,
    webrtc::WebRtc,
};

pub use crate::{cluster::Place, run_error::RunError};
use crate::{
    config::Config,
    console::Console,
    drain::{Drain, DrainOrder, StopSignals},
    http::{
        ConnectionGate, HttpSources,
        api::Api,
        health::Health,
        hls::{HlsRequests, HlsSources, HlsViewers},
        whep::Whep,
    },
    line_limit::LineLimit,
    listeners::Listeners,
    metrics::{NodeMetrics, NodeSources, WorkerLag},
    ports::Ports,
    refusal_log::RefusalLog,
    rtmp::RtmpPort,
    tls::{Handshakers, HlsTlsPort, TlsElsewhere, TlsMeters, TlsOnPlainPort, TlsPort},
};

/// Time that requests that are being answered may take when the server stops, in seconds. Live media does not end by
/// itself and is not waited for.
const SHUTDOWN_TIMEOUT_S: u64 = 3;

/// Time limit to open the segments' directory, and to clear it of files that a dead process left there.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for deleting the segments when the server stops.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts the ports of a node whose place in its cluster the caller decides. There are no signals and no drain: the caller
/// stops the server.
pub async fn start(config: &Config, listeners: Listeners, place: Place) -> Result<Server, RunError> {
    let node = Node::start(config, place, DrainOrder::default())?;
    node.open_storage(config).await?;
    Ok(node.listen(config, listeners)?.run())
}

/// Serves until a signal to stop.
pub fn run(config: Config) -> Result<(), RunError> {
    raise_open_files_limit(config.limits.max_connections);
    let listeners = Listeners::bind(&config)?;
    run_on(config, listeners)
}

/// Like [`run`], on listeners that are bound already.
pub fn run_on(config: Config, listeners: Listeners) -> Result<(), RunError> {
    actix_rt::System::new().block_on(serve(config, listeners))
}

async fn serve(config: Config, listeners: Listeners) -> Result<(), RunError> {
    let signals = StopSignals::listen().map_err(RunError::Server)?;
    let place = cluster::join(&config, &listeners).await?;
    let registry = place.registry.clone();
    let served = serve_at(place, &config, listeners, signals).await;
    if served.is_err() {
        // Otherwise the next start under this name waits for the lease to lapse.
        registry.leave().await;
    }
    served
}

async fn serve_at(
    place: Place,
    config: &Config,
    listeners: Listeners,
    signals: StopSignals,
) -> Result<(), RunError> {
    let node = Node::start(config, place, signals.order())?;
    node.orders.synchronize().await;
    config.access.warn_of_openness();
    config.hls.warn_of_parts(config.streams.flush_interval);
    node.open_storage(config).await?;
    announce(config, &listeners, &node.place.node_id);
    let server = node.listen(config, listeners)?.run();
    actix_rt::spawn(node.drain(config).on_signal(signals, server.handle()));
    let served = match AssertUnwindSafe(server).catch_unwind().await {
        Ok(served) => served.map_err(RunError::Server),
        Err(panic) => {
            let reason = log::panic_message(&*panic).to_owned();
            Err(RunError::Workers { workers: config.limits.workers, reason })
        }
    };
    if let Some(hls) = &node.hls {
        // A disk that hangs is no reason to stay.
        let _ = tokio::time::timeout(CLEAR_TIMEOUT, hls.clear()).await;
    }
    served
}

/// The actors behind the ports.
struct Node {
    place: Place,
    orders: Orders,
    directory: StreamDirectory,
    hls: Option<HlsSessions>,
    proxy: Option<HlsProxy>,
    permits: ConnectionLimit,
    ports: PortLimits,
    hls_viewers: HlsViewers,
    hls_requests: HlsRequests,
    worker_lag: WorkerLag,
    drain_order: DrainOrder,
    tls: TlsMeters,
}

/// The limit of connections, for each port.
struct PortLimits {
    rtmp: ConnectionLimit,
    httpflv: ConnectionLimit,
    hls: ConnectionLimit,
    tls: ConnectionLimit,
    hls_tls: ConnectionLimit,
}

impl Node {
    fn start(config: &Config, place: Place, drain_order: DrainOrder) -> Result<Self, RandomError> {
        let nodes = config.access.node_keys(&place.node_id)?;
        let gatekeeper = Gatekeeper::new(config.access.settings(), nodes.clone());
        let has_fixed_secret = config.access.cluster_secret.is_some();
        let orders = Orders::new(gatekeeper, place.access.clone(), has_fixed_secret);
        let hls = config.hls.settings(place.in_cluster).map(HlsSessions::start);
        let streams = config.stream_settings(&nodes);
        let directory = StreamDirectory::start(
            streams,
            place.registry.clone(),
            config.limits.max_rooms,
            hls.as_ref().and_then(HlsSessions::observer),
        );
        let proxy = hls.as_ref().map(|hls| {
            let settings = config.hls_proxy_settings(&nodes);
            HlsProxy::start(place.registry.clone(), settings, hls.fetched_memory())
        });
        if let (Some(hls), Some(proxy), true) = (&hls, &proxy, place.in_cluster) {
            hls.set_windows(proxy.windows());
        }
        let permits = ConnectionLimit::new(config.limits.max_connections);
        let ports = PortLimits {
            rtmp: permits.for_port(),
            httpflv: permits.for_port(),
            hls: permits.for_port(),
            tls: permits.for_port(),
            hls_tls: permits.for_port(),
        };
        Ok(Self {
            place,
            orders,
            directory,
            hls,
            proxy,
            permits,
            ports,
            hls_viewers: HlsViewers::default(),
            hls_requests: HlsRequests::default(),
            worker_lag: WorkerLag::default(),
            drain_order,
            tls: TlsMeters::default(),
        })
    }

    fn gatekeeper(&self) -> &Gatekeeper {
        self.orders.gatekeeper()
    }

    /// A directory that cannot be used ends the start; a disk that fails later costs the files only.
    async fn open_storage(&self, config: &Config) -> Result<(), RunError> {
        let Some(hls) = &self.hls else { return Ok(()) };
        let opened = tokio::time::timeout(STORAGE_TIMEOUT, hls.open_storage()).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        opened.map_err(|source| RunError::Storage { path: config.hls.hls_storage.clone(), source })
    }

    fn listen(&self, config: &Config, listeners: Listeners) -> Result<ServerBuilder, RunError> {
        let ports = listeners.ports();
        if let Some(listener) = listeners.metrics {
            metrics::serve(self.metrics(config), config.metrics.token(), listener)
                .map_err(RunError::Server)?;
        }
        let viewer_pool = ViewerPool::new(Arc::new(config.viewers.lag_limits()));
        let server = Server::build()
            .workers(config.limits.workers)
            // The limit is MAX_CONNECTIONS. A thread at one of its own would leave others unanswered, probes among them.
            .max_concurrent_connections(usize::MAX)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_TIMEOUT_S);
        let tls = TlsElsewhere(ports.tls);
        let rtmp = self.rtmp_services(config.rtmp_settings(tls), viewer_pool.clone());
        let whep = self.whep(config, listeners.webrtc).map_err(RunError::Server)?;
        let http = self.http_sources(config, viewer_pool, ports, whep);
        let server = self.listen_tls(server, config, &rtmp, &http, (listeners.tls, listeners.hls_tls))?;
        let hls = self.hls_sources().zip(listeners.hls);
        self.listen_rtmp(server, rtmp, listeners.rtmp)
            .and_then(|server| self.listen_httpflv(server, http, tls, listeners.httpflv))
            .and_then(|server| match hls {
                Some((sources, listener)) => self.listen_hls(server, config, sources, tls, listener),
                None => Ok(server),
            })
            .map_err(RunError::Server)
    }

    fn whep(&self, config: &Config, sockets: Option<(UdpSocket, TcpListener)>) -> io::Result<Option<Whep>> {
        let Some((socket, listener)) = sockets else { return Ok(None) };
        let webrtc = WebRtc::start(config.webrtc.settings(), socket, listener)?;
        let (directory, gatekeeper) = (self.directory.clone(), self.gatekeeper().clone());
        let ice_servers = config.webrtc.ice_servers();
        let (node, registry) = (self.place.node_id.clone(), self.place.registry.clone());
        Ok(Some(Whep { webrtc, directory, gatekeeper, ice_servers, node, registry }))
    }

    fn rtmp_services(&self, settings: RtmpSettings, viewer_pool: ViewerPool) -> RtmpServices {
        let (directory, gatekeeper) = (self.directory.clone(), self.gatekeeper().clone());
        RtmpServices { directory, gatekeeper, viewer_pool, settings: Arc::new(settings) }
    }

    fn http_sources(
        &self,
        config: &Config,
        viewer_pool: ViewerPool,
        ports: Ports,
        whep: Option<Whep>,
    ) -> HttpSources {
        HttpSources {
            api: Arc::new(self.api(config)),
            info: config.server_info(&self.place.node_id, ports),
            health: self.health(),
            settings: config.http_settings(),
            viewer_pool,
            directory: self.directory.clone(),
            // Behind a proxy, there is one address for the page and its HLS.
            hls: config.addresses.trust_proxy.is_on().then(|| self.hls_sources()).flatten(),
            whep,
        }
    }

    fn hls_sources(&self) -> Option<HlsSources> {
        Some(HlsSources {
            hls: self.hls.clone()?,
            directory: self.directory.clone(),
            proxy: self.proxy.clone()?,
            gatekeeper: self.gatekeeper().clone(),
            viewers: self.hls_viewers.clone(),
            requests: self.hls_requests.clone(),
        })
    }

    fn listen_rtmp(
        &self,
        server: ServerBuilder,
        services: RtmpServices,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (services, permits) = (Arc::new(services), self.ports.rtmp.clone());
        let worker_lag = self.worker_lag.clone();
        // Called on each thread that serves.
        server.listen("rtmp", listener, move || {
            worker_lag.watch_thread();
            rtmp::service(services.clone(), permits.clone())
        })
    }

    fn listen_httpflv(
        &self,
        server: ServerBuilder,
        sources: HttpSources,
        tls: TlsElsewhere,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (permits, tls) = (self.ports.httpflv.clone(), TlsOnPlainPort::new("httpflv", tls));
        server
            .listen("httpflv", listener, move || http::service(sources.clone(), permits.clone(), tls.clone()))
    }

    fn listen_hls(
        &self,
        server: ServerBuilder,
        config: &Config,
        sources: HlsSources,
        tls: TlsElsewhere,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (port, permits) = (config.http_settings(), self.ports.hls.clone());
        let tls = TlsOnPlainPort::new("hls", tls);
        server.listen("hls", listener, move || {
            http::hls::service(sources.clone(), port.clone(), permits.clone(), tls.clone())
        })
    }

    /// The ports over TLS: one for what all others have, and one for HLS alone.
    fn listen_tls(
        &self,
        server: ServerBuilder,
        config: &Config,
        rtmp: &RtmpServices,
        http: &HttpSources,
        listeners: (Option<TcpListener>, Option<TcpListener>),
    ) -> Result<ServerBuilder, RunError> {
        if let (None, None) = listeners {
            return Ok(server);
        }
        let (workers, begin_timeout) = (config.limits.workers, rtmp.settings.handshake_timeout);
        let handshakers = tls::handshakers(&config.tls, workers, begin_timeout, &self.tls)?;
        let Handshakers { everything, hls } = handshakers;
        let server = match listeners.0 {
            Some(listener) => self.listen_everything_tls(server, rtmp, http, everything, listener),
            None => Ok(server),
        };
        let server = server.map_err(RunError::Server)?;
        let listening = match self.hls_sources().zip(listeners.1) {
            Some((sources, listener)) => self.listen_hls_tls(server, config, sources, hls, listener),
            None => Ok(server),
        };
        listening.map_err(RunError::Server)
    }

    fn listen_hls_tls(
        &self,
        server: ServerBuilder,
        config: &Config,
        sources: HlsSources,
        handshaker: Handshaker,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (settings, failures) = (config.http_settings(), LineLimit::default());
        let gate = ConnectionGate::new("hls_tls", self.ports.hls_tls.clone());
        let port = HlsTlsPort { handshaker, sources, settings, gate, failures };
        server.listen("hls_tls", listener, move || tls::hls_service(port.clone()))
    }

    fn listen_everything_tls(
        &self,
        server: ServerBuilder,
        rtmp: &RtmpServices,
        http: &HttpSources,
        handshaker: Handshaker,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let begin_timeout = rtmp.settings.handshake_timeout;
        let of_plain = Arc::new(tls::refusing(&rtmp.settings));
        let of_plain = Arc::new(RtmpServices { settings: of_plain, ..rtmp.clone() });
        let (rtmp, permits) = (Arc::new(rtmp.clone()), self.ports.tls.clone());
        let http = HttpSources { hls: self.hls_sources(), info: http.info.over_tls(), ..http.clone() };
        let (refusals, failures) = (RefusalLog::default(), LineLimit::default());
        server.listen("tls", listener, move || {
            let rtmp_port = |services: &Arc<RtmpServices>| RtmpPort::new(services.clone(), permits.clone());
            tls::service(TlsPort {
                handshaker: handshaker.clone(),
                rtmp: rtmp_port(&rtmp),
                plain_rtmp: rtmp_port(&of_plain),
                http: http.clone(),
                begin_timeout,
                refusals: refusals.clone(),
                failures: failures.clone(),
            })
        })
    }

    fn api(&self, config: &Config) -> Api {
        let console = Console::start(self.sources(config), self.gatekeeper().nodes().clone());
        let api = Api::new(
            self.place.node_id.clone(),
            self.directory.clone(),
            self.place.registry.clone(),
            self.orders.clone(),
            self.hls_viewers.clone(),
            self.drain_order.clone(),
        );
        api.with_console(console)
    }

    fn health(&self) -> Health {
        Health::new(self.directory.clone(), self.place.registry.clone(), self.proxy.clone())
    }

    fn sources(&self, config: &Config) -> NodeSources {
        let PortLimits { rtmp, httpflv, hls, tls, hls_tls } = &self.ports;
        let hls_tls = self.hls.as_ref().and(config.tls.hls_address()).map(|_| ("hls_tls", hls_tls));
        let hls = self.hls.as_ref().map(|_| ("hls", hls));
        let tls = config.tls.address().map(|_| ("tls", tls));
        let ports =
            [Some(("rtmp", rtmp)), Some(("httpflv", httpflv)), hls, tls, hls_tls].into_iter().flatten();
        NodeSources {
            node: self.place.node_id.clone(),
            directory: self.directory.clone(),
            registry: self.place.registry.clone(),
            gatekeeper: self.gatekeeper().clone(),
            hls: self.hls.clone(),
            hls_viewers: self.hls_viewers.clone(),
            hls_requests: self.hls_requests.clone(),
            health: self.health(),
            ports: ports.map(|(name, limit)| (name, limit.clone())).collect(),
            worker_lag: self.worker_lag.clone(),
            tls: self.tls.clone(),
            rooms_max: config.limits.max_rooms,
        }
    }

    fn metrics(&self, config: &Config) -> NodeMetrics {
        NodeMetrics::new(self.sources(config), config.metrics.metrics_rooms.into())
    }

    fn drain(&self, config: &Config) -> Drain {
        Drain {
            directory: self.directory.clone(),
            registry: self.place.registry.clone(),
            permits: self.permits.clone(),
            hls: self.hls.clone(),
            times: config.drain.times(self.place.in_cluster),
        }
    }
}

/// A viewer is a file descriptor, and the usual limit of 1024 is for shells.
fn raise_open_files_limit(max_connections: usize) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < max_connections as u64 => {
            ::log::warn!(limit = limit, max_connections = max_connections;
                "MAX_CONNECTIONS is above the limit of open files: connections beyond that wait");
        }
        Ok(_) => {}
        Err(error) => ::log::warn!(reason:% = error; "the limit of open files could not be raised"),
    }
}

/// Says where to push and where to watch.
fn announce(config: &Config, listeners: &Listeners, node_id: &str) {
    let app = &config.addresses.rtmp_app;
    let mut lines = vec![
        format!("push   rtmp://{}/{app}/ROOM", listeners.rtmp_address()),
        format!("watch  http://{}/ROOM.flv", listeners.httpflv_address()),
    ];
    if let Some(address) = listeners.hls_address() {
        lines.push(format!("hls    http://{address}/{app}/ROOM/index.m3u8"));
    }
    if let Some(address) = listeners.metrics_address() {
        lines.push(format!("metrics http://{address}/metrics"));
    }
    if let Some(address) = listeners.tls_address() {
        lines.push(format!("tls    rtmps://{address}/{app}/ROOM and https://{address}/"));
    }
    if let Some(address) = listeners.hls_tls_address() {
        lines.push(format!("hls-tls https://{address}/{app}/ROOM/master.m3u8"));
    }
    if listeners.webrtc.is_some() {
        lines.push(format!("webrtc http://{}/ROOM/whep", listeners.httpflv_address()));
    }
    lines.push(format!("page   http://{}/", listeners.httpflv_address()));
    say(lines.join("\n"));
    ::log::info!(node = node_id, workers = config.limits.workers; "started");
}

/// Writes to stdout from a thread of its own: a reader that does not read must not keep the server from serving.
fn say(text: String) {
    // A closed stdout does not make the server less useful.
    let say = move || drop(writeln!(io::stdout(), "{text}"));
    if let Err(error) = thread::Builder::new().name("stdout".to_owned()).spawn(say) {
        ::log::warn!(reason:% = error; "the addresses could not be written to stdout");
    }
}
