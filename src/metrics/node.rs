//! Everything that a node counts, and what is only known at a scrape.

use std::fmt;

use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use synctv_actors::{
    access::Gatekeeper,
    cluster::registry::RegistryHandle,
    connection_limit::ConnectionLimit,
    directory::{DirectoryEnded, StreamDirectory},
    events::{Source, StreamState},
    hls::HlsSessions,
    metrics::{Counter, MetricSet, ViewerProtocol},
    stream::StreamHandle,
};

use super::{
    constant::{Labels, Values, labels},
    process,
    rooms::{RoomSeries, RoomState},
    scrape_turns::ScrapeTurns,
    worker_lag::WorkerLag,
};
use crate::{
    http::{
        health::{Health, Standing},
        hls::{HlsRequests, HlsViewers},
    },
    log,
    tls::TlsMeters,
};

/// In front of the names of all metrics but those of the process.
const PREFIX: &str = "synctv";

/// The ports of TLS, the only ones that refuse connections without it.
const TLS_PORTS: [&str; 2] = ["tls", "hls_tls"];

/// The parts of a node that count.
#[derive(Debug, Clone)]
pub struct NodeSources {
    /// The node's name.
    pub node: String,
    /// The streams, publishers and viewers.
    pub directory: StreamDirectory,
    /// The claims.
    pub registry: RegistryHandle,
    /// The decisions on access.
    pub gatekeeper: Gatekeeper,
    /// The segments, unless HLS is off.
    pub hls: Option<HlsSessions>,
    /// The viewers over HLS.
    pub hls_viewers: HlsViewers,
    /// The requests of the HLS port.
    pub hls_requests: HlsRequests,
    /// The node's readiness.
    pub health: Health,
    /// The limit of each port that there is, by its name.
    pub ports: Vec<(&'static str, ConnectionLimit)>,
    /// The delay of timers.
    pub worker_lag: WorkerLag,
    /// The counts of TLS.
    pub tls: TlsMeters,
    /// The most rooms published on this node.
    pub rooms_max: usize,
    /// The series of single rooms.
    pub rooms: RoomSeries,
    /// Keeps scrapes from showing counts that are not carried over an upgrade.
    pub scrape_turns: ScrapeTurns,
}

/// The metrics of a node, ready to be scraped.
#[derive(Debug)]
pub struct NodeMetrics {
    sources: NodeSources,
    counted: MetricSet,
}

/// The format of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus's text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl NodeMetrics {
    /// Registers what `sources` count.
    pub fn new(sources: NodeSources) -> Self {
        let counted = sources.counted();
        Self { sources, counted }
    }

    /// Returns all metrics as they are now.
    pub(super) async fn scrape(&self, format: Format) -> Result<String, ScrapeError> {
        let _turn = self.sources.scrape_turns.turn().await;
        let streams = self.sources.directory.streams().await?;
        let standing = self.sources.health.standing().await;
        let mut known = Registry::with_prefix(PREFIX);
        let values = &mut Values(&mut known);
        self.sources.add_standing(values, &standing);
        self.sources.add_connections(values);
        self.sources.add_tls(values);
        let over_hls = self.sources.hls_viewers.by_room();
        self.sources.add_streams(values, &streams, over_hls.values().sum());
        let rooms = streams.iter().map(|stream| (stream.id(), RoomState::of(stream))).collect();
        self.sources.rooms.add(values, rooms, &over_hls);
        add_log(values);
        let mut of_process = Registry::default();
        process::add(&mut Values(&mut of_process));
        Ok(encode(&[&known, self.counted.registry(), &of_process], format)?)
    }
}

impl NodeSources {
    /// Everything that only grows and is scraped.
    pub(super) fn counted(&self) -> MetricSet {
        let mut counted = MetricSet::with_prefix(PREFIX);
        self.directory.metrics().register(&mut counted);
        self.registry.metrics().register(&mut counted);
        self.gatekeeper.metrics().register(&mut counted, self.gatekeeper.has_callback());
        if let Some(hls) = &self.hls {
            hls.metrics().register(&mut counted);
            self.hls_requests.register(&mut counted);
        }
        self.tls.register(&mut counted);
        self.worker_lag.register(&mut counted);
        for (name, port) in &self.ports {
            let refused = |reason| [("port", *name), ("reason", reason)];
            counted.carry("connections_refused", &refused("limit"), port.refused_by_port().clone());
            counted.carry("connections_refused", &refused("plain"), port.refused_plain_by_port().clone());
        }
        log::carry_counts(&mut counted);
        counted
    }

    fn add_standing(&self, values: &mut Values<'_>, standing: &Standing) {
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("node", self.node.clone())];
        values.gauges("build_info", "Version and name of the node", [(build, 1.0)]);
        values.gauge("ready", "Whether /readyz says ready", flag(*standing == Standing::Ready));
        values.gauge("draining", "Whether the node drains", flag(*standing == Standing::Draining));
        let age = self.registry.metrics().lease.get().map(|age| (Vec::new(), age.as_secs_f64()));
        values.gauges("registry_lease_age_seconds", "Time since the node's lease was renewed", age);
        let age = self.gatekeeper.metrics().keys.get().map(|age| (Vec::new(), age.as_secs_f64()));
        values.gauges("auth_jwks_age_seconds", "Time since the keys of TOKEN_JWKS_URL were fetched", age);
    }

    fn add_connections(&self, values: &mut Values<'_>) {
        let held = self.ports.iter().map(|(name, port)| (labels("port", *name), port.held_by_port() as f64));
        values.gauges("connections", "Connections", held);
        let max = self.ports.first().map_or(0, |(_, port)| port.max());
        values.gauge("connections_max", "Limit of connections of all ports", max as f64);
        let refused = |name: &str, reason: &str, count: u64| {
            (vec![("port", name.to_owned()), ("reason", reason.to_owned())], count as f64)
        };
        let refused = self.ports.iter().flat_map(|(name, port)| {
            let plain =
                TLS_PORTS.contains(name).then(|| refused(name, "plain", port.refused_plain_by_port().get()));
            [Some(refused(name, "limit", port.refused_by_port().get())), plain].into_iter().flatten()
        });
        values.counters("connections_refused", "Connections refused before they asked for anything", refused);
    }

    fn has_tls(&self) -> bool {
        self.ports.iter().any(|(name, _)| TLS_PORTS.contains(name))
    }

    fn add_tls(&self, values: &mut Values<'_>) {
        if !self.has_tls() {
            return;
        }
        let by_outcome =
            |(outcome, count): (&str, &Counter)| (labels("outcome", outcome), count.get() as f64);
        values.counters("tls_handshakes", "TLS handshakes that ended", self.tls.handshakes().map(by_outcome));
        values.counters(
            "tls_reloads",
            "Changes of the certificate's files",
            self.tls.reloads().map(by_outcome),
        );
        let end = self.tls.not_after_unix_s().map(|end| (Vec::new(), end as f64));
        values.gauges("tls_certificate_not_after_seconds", "End of the certificate, since 1970", end);
    }

    fn add_streams(&self, values: &mut Values<'_>, streams: &[StreamHandle], over_hls: u64) {
        let count = |state: fn(StreamState) -> bool| {
            streams.iter().filter(|stream| state(stream.state())).count() as f64
        };
        let pulled = count(|state| state == StreamState::Live(Source::Remote));
        let rooms = [
            (labels("state", "published"), count(|state| state == StreamState::Live(Source::Local))),
            (labels("state", "pulled"), pulled),
            (labels("state", "interrupted"), count(|state| state == StreamState::Waiting)),
        ];
        values.gauges("rooms", "Rooms of this node", rooms);
        values.gauge("rooms_max", "Limit of rooms published on this node", self.rooms_max as f64);
        values.gauge("pulls", "Rooms fetched from other nodes", pulled);
        let cached: u64 = streams.iter().map(|stream| stream.meters().counts().gop_bytes).sum();
        values.gauge("gop_cache_bytes", "Media cached for viewers who join", cached as f64);
        values.gauges("viewers", "Viewers who watch now", self.viewers(over_hls));
        if let Some(hls) = &self.hls {
            values.gauge("hls_memory_bytes", "Memory of segments", hls.memory_bytes() as f64);
        }
    }

    fn viewers(&self, over_hls: u64) -> Vec<(Labels, f64)> {
        let of_protocol = |protocol: ViewerProtocol| match protocol {
            ViewerProtocol::Hls => over_hls as f64,
            _ => self.directory.metrics().viewers.get(protocol).get() as f64,
        };
        let protocols = ViewerProtocol::ALL.iter().filter(|protocol| **protocol != ViewerProtocol::Pull);
        protocols.map(|protocol| (labels("protocol", protocol.as_str()), of_protocol(*protocol))).collect()
    }
}

fn add_log(values: &mut Values<'_>) {
    let lines = log::lines().map(|(level, lines)| (labels("level", log::label(level)), lines as f64));
    values.counters("log_lines", "Lines logged", lines);
    values.counter("panics", "Panics", log::panics() as f64);
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn encode(registries: &[&Registry], format: Format) -> Result<String, fmt::Error> {
    let mut written = String::new();
    for registry in registries {
        match format {
            Format::Prometheus => prometheus_text::encode(&mut written, registry)?,
            Format::OpenMetrics => text::encode_registry(&mut written, registry)?,
        }
    }
    if format == Format::OpenMetrics {
        text::encode_eof(&mut written)?;
    }
    Ok(written)
}

/// The reason there are no metrics.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    /// The node does not know its streams any more.
    #[error(transparent)]
    Directory(#[from] DirectoryEnded),
    /// They could not be written.
    #[error("the metrics could not be encoded")]
    Encoding(#[from] fmt::Error),
}
