//! A node: the actors behind the ports, and the ports.

mod listen;
mod port_limits;

use std::{
    io,
    net::{TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use actix_server::{Server, ServerBuilder};
use synctv_actors::{
    access::{Gatekeeper, Orders},
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    hls::{HlsSessions, proxy::HlsProxy},
    rtmp::{RtmpConnections, RtmpServices, RtmpSettings},
    upgrade::UpgradeParts,
    viewers::ViewerPool,
    webrtc::WebRtc,
};

use self::port_limits::PortLimits;
use crate::{
    cluster::Place,
    config::Config,
    console::{Console, History},
    drain::{Drain, DrainOrder},
    http::{
        HttpSources,
        api::Api,
        health::Health,
        hls::{HlsRequests, HlsSources, HlsThreads, HlsViewers},
        whep::Whep,
    },
    listeners::Listeners,
    metrics::{self, NodeMetrics, NodeSources, RoomSeries, ScrapeTurns, WorkerLag},
    ports::Ports,
    run_error::RunError,
    tls::{TlsElsewhere, TlsMeters},
    upgrade::{Taken, order::UpgradeOrder},
};

/// Time that requests that are being answered may take when the server stops, in seconds. Live media does not end by
/// itself and is not waited for.
const SHUTDOWN_TIMEOUT_S: u64 = 3;

/// Time limit to open the segments' directory, and to clear it of files that a dead process left there.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Orders that the API gives to the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeOrders {
    /// To stop.
    pub drain: DrainOrder,
    /// To upgrade, if it can.
    pub upgrade: Option<UpgradeOrder>,
}

/// The actors behind the ports.
pub(crate) struct Node {
    pub place: Place,
    pub orders: Orders,
    pub directory: StreamDirectory,
    pub hls: Option<HlsSessions>,
    proxy: Option<HlsProxy>,
    pub permits: ConnectionLimit,
    pub ports: PortLimits,
    hls_viewers: HlsViewers,
    hls_requests: HlsRequests,
    worker_lag: WorkerLag,
    rooms: RoomSeries,
    scrape_turns: ScrapeTurns,
    pub history: History,
    node_orders: NodeOrders,
    tls: TlsMeters,
}

impl Node {
    /// Starts the actors. `taken` is the handover of the program that ran in this process before.
    pub fn start(
        config: &Config,
        place: Place,
        node_orders: NodeOrders,
        taken: Option<&Taken>,
    ) -> Result<Self, RunError> {
        let secret = taken.and_then(Taken::secret);
        let nodes = config.access.node_keys(&place.node_id, secret)?;
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
            rooms: RoomSeries::new(config.metrics.metrics_rooms.into()),
            scrape_turns: ScrapeTurns::default(),
            history: History::default(),
            node_orders,
            tls: TlsMeters::default(),
        })
    }

    fn gatekeeper(&self) -> &Gatekeeper {
        self.orders.gatekeeper()
    }

    /// A directory that cannot be used ends the start; a disk that fails later costs the files only.
    pub async fn open_storage(&self, config: &Config) -> Result<(), RunError> {
        let Some(hls) = &self.hls else { return Ok(()) };
        let opened = tokio::time::timeout(STORAGE_TIMEOUT, hls.open_storage()).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        opened.map_err(|source| RunError::Storage { path: config.hls.hls_storage.clone(), source })
    }

    /// Starts the ports. Returns with them what is handed over in an upgrade.
    pub fn listen(
        &self,
        config: &Config,
        listeners: Listeners,
    ) -> Result<(ServerBuilder, UpgradeParts), RunError> {
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
        let hls = self.hls_threads(config)?;
        let http = self.http_sources(config, viewer_pool, ports, (hls.clone(), whep));
        let encrypted = (listeners.tls, listeners.hls_tls);
        let server = self.listen_tls(server, config, &rtmp, &http, hls.as_ref(), encrypted)?;
        let hls = hls.zip(listeners.hls);
        let parts = self.upgrade_parts(rtmp.clone());
        let server = self
            .listen_rtmp(server, rtmp, listeners.rtmp)
            .and_then(|server| self.listen_httpflv(server, http, tls, listeners.httpflv))
            .and_then(|server| match hls {
                Some((threads, listener)) => self.listen_hls(server, threads, tls, listener),
                None => Ok(server),
            })
            .map_err(RunError::Server)?;
        Ok((server, parts))
    }

    fn upgrade_parts(&self, rtmp: RtmpServices) -> UpgradeParts {
        UpgradeParts {
            rtmp,
            registry: self.place.registry.clone(),
            rtmp_permits: self.ports.rtmp.clone(),
            httpflv_permits: self.ports.httpflv.clone(),
            hls: self.hls.clone(),
        }
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
        let (settings, connections) = (Arc::new(settings), RtmpConnections::default());
        RtmpServices { directory, gatekeeper, viewer_pool, connections, settings }
    }

    fn http_sources(
        &self,
        config: &Config,
        viewer_pool: ViewerPool,
        ports: Ports,
        (hls, whep): (Option<HlsThreads>, Option<Whep>),
    ) -> HttpSources {
        HttpSources {
            api: Arc::new(self.api(config)),
            info: config.server_info(&self.place.node_id, ports),
            health: self.health(),
            settings: config.http_settings(),
            viewer_pool,
            directory: self.directory.clone(),
            // Behind a proxy, there is one address for the page and its HLS.
            hls: hls.filter(|_| config.addresses.trust_proxy.is_on()),
            whep,
        }
    }

    /// Starts as many threads for HLS as there are others.
    fn hls_threads(&self, config: &Config) -> Result<Option<HlsThreads>, RunError> {
        let Some((hls, proxy)) = self.hls.clone().zip(self.proxy.clone()) else { return Ok(None) };
        let sources = HlsSources {
            hls,
            directory: self.directory.clone(),
            proxy,
            gatekeeper: self.gatekeeper().clone(),
            viewers: self.hls_viewers.clone(),
            requests: self.hls_requests.clone(),
        };
        let (workers, settings) = (config.limits.workers, config.http_settings());
        let worker_lag = self.worker_lag.clone();
        let begin = move || worker_lag.watch_thread();
        let threads = HlsThreads::start(workers, &sources, &settings, begin);
        threads.map(Some).map_err(|error| RunError::Workers { workers, reason: error.to_string() })
    }

    fn api(&self, config: &Config) -> Api {
        let keys = self.gatekeeper().nodes().clone();
        let console = Console::start(self.sources(config), keys, self.history.clone());
        let api = Api::new(
            self.place.node_id.clone(),
            self.directory.clone(),
            self.place.registry.clone(),
            self.orders.clone(),
            self.hls_viewers.clone(),
            self.node_orders.drain.clone(),
        );
        api.with_console(console).with_upgrade(self.node_orders.upgrade.clone())
    }

    fn health(&self) -> Health {
        Health::new(self.directory.clone(), self.place.registry.clone(), self.proxy.clone())
    }

    /// The parts that count.
    pub fn sources(&self, config: &Config) -> NodeSources {
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
            rooms: self.rooms.clone(),
            scrape_turns: self.scrape_turns.clone(),
        }
    }

    fn metrics(&self, config: &Config) -> NodeMetrics {
        NodeMetrics::new(self.sources(config))
    }

    /// The drain of the node, which is still to be run.
    pub fn drain(&self, config: &Config) -> Drain {
        Drain {
            directory: self.directory.clone(),
            registry: self.place.registry.clone(),
            permits: self.permits.clone(),
            hls: self.hls.clone(),
            times: config.drain.times(self.place.in_cluster),
        }
    }
}
