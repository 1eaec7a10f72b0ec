//! The console: what a node and its rooms do now and did in the last ten minutes, for people without a monitoring system.

mod history;
mod peers;
mod report;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use log::debug;
use serde::Serialize;
use serde_json::value::RawValue;
use synctv_actors::{
    access::NodeKeys,
    cluster::{
        origin::LiveNode,
        registry::{Freshness, RegistryHandle},
    },
    directory::DirectoryEnded,
    metrics::ViewerProtocol,
};
use tokio::time::timeout;

pub(crate) use self::history::{History, HistoryState};
#[cfg(test)]
pub(crate) use self::peers::PATH as REPORT_PATH;
pub use self::report::NodeReport;
use self::report::{Charts, RoomReport};
use crate::metrics::NodeSources;

/// Time limit for the registry to list the nodes.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports of this node and of all others. Clones share them.
#[derive(Debug, Clone)]
pub struct Console(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sources: NodeSources,
    keys: NodeKeys,
    history: History,
}

/// Reports of the nodes of a cluster.
#[derive(Debug, Serialize)]
pub struct ClusterReport {
    /// The registry named all nodes.
    complete: bool,
    nodes: Vec<Box<RawValue>>,
    /// Nodes that did not answer.
    unreachable: Vec<String>,
    /// Nodes whose leases say that they drain.
    draining: Vec<String>,
}

impl Console {
    /// Starts to keep the history of a node, on the current thread.
    pub(crate) fn start(sources: NodeSources, keys: NodeKeys, history: History) -> Self {
        history.keep(sources.directory.clone(), sources.hls_viewers.clone());
        Self(Arc::new(Inner { sources, keys, history }))
    }

    /// Returns the report of this node.
    pub async fn node(&self) -> Result<NodeReport, DirectoryEnded> {
        let Inner { sources, history, .. } = &*self.0;
        let streams = sources.directory.streams().await?;
        let over_hls = sources.hls_viewers.by_room();
        let shows_addresses = !sources.gatekeeper.are_reports_open();
        let rooms = streams.into_iter().map(|stream| {
            let charts = history.room(stream.id());
            let hls = over_hls.get(stream.room()).copied().unwrap_or_default();
            async move {
                let mut stats = stream.stats().await?;
                stats.publisher = stats.publisher.filter(|_| shows_addresses);
                let viewers = ViewerProtocol::ALL.iter().map(|protocol| match protocol {
                    ViewerProtocol::Hls => (protocol.as_str(), hls),
                    _ => (protocol.as_str(), stream.meters().viewers(*protocol)),
                });
                let viewers = viewers.filter(|(_, count)| *count > 0).collect();
                Some(RoomReport::new(&stream, stats, viewers, charts))
            }
        });
        let rooms = join_all(rooms).await.into_iter().flatten().collect();
        let standing = sources.health.standing().await;
        let charts: Charts = history.node();
        Ok(NodeReport::new(&sources.node, &standing, &sources.ports, charts, rooms))
    }

    /// Returns the reports of this node and of all others that answer.
    pub async fn cluster(&self) -> Result<ClusterReport, DirectoryEnded> {
        let own = serde_json::value::to_raw_value(&self.node().await?).ok();
        let others = timeout(REGISTRY_TIMEOUT, self.registry().nodes(Freshness::Known)).await;
        let others = others.ok().and_then(Result::ok);
        let complete = others.is_some();
        let others = others.unwrap_or_default();
        let draining = others.iter().filter(|node| node.standing.is_draining).map(|node| node.name.clone());
        let mut draining: Vec<String> = draining.collect();
        if self.0.sources.directory.is_draining() {
            draining.push(self.0.sources.node.clone());
        }
        let asked = others.into_iter().map(|LiveNode { name: node, addresses, .. }| async move {
            let report = peers::ask(&addresses.httpflv, &self.0.keys).await;
            report.map_err(|error| {
                debug!(node = node.as_str(), reason:% = error; "a node sent no report");
                node
            })
        });
        let (mut nodes, mut unreachable) = (Vec::from_iter(own), Vec::new());
        for report in join_all(asked).await {
            match report {
                Ok(report) => nodes.push(report),
                Err(node) => unreachable.push(node),
            }
        }
        Ok(ClusterReport { complete, nodes, unreachable, draining })
    }

    fn registry(&self) -> &RegistryHandle {
        &self.0.sources.registry
    }
}
