//! The life of the process: its start, the orders that it gets, and its end.

use std::{
    io::{self, Write},
    panic::AssertUnwindSafe,
    thread,
    time::Duration,
};

use actix_server::ServerHandle;
use futures::FutureExt;
use synctv_actors::upgrade::UpgradeParts;

use crate::{
    cluster::{self, Place},
    config::Config,
    drain::{Drain, StopSignals},
    listeners::Listeners,
    log,
    node::{Node, NodeOrders},
    run_error::RunError,
    signals::SignalThread,
    upgrade::{self, Program, Taken, Upgrader, order::UpgradeOrders},
};

/// Time limit for deleting the segments when the server stops.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(3);

/// The signals and requests that the process obeys.
struct Controls {
    signals: StopSignals,
    /// The orders to upgrade; none if the process cannot be upgraded.
    upgrades: Option<Upgrades>,
}

/// The orders to upgrade, the program that takes over, and the thread that takes signals until then.
struct Upgrades {
    orders: UpgradeOrders,
    program: Program,
    signal_thread: SignalThread,
}

impl Upgrades {
    /// Lets pending signals through. The handlers of those that stop the server have to be registered before.
    fn listen((program, signal_thread): (Program, SignalThread)) -> io::Result<Self> {
        let orders = UpgradeOrders::listen()?;
        signal_thread.release()?;
        Ok(Self { orders, program, signal_thread })
    }
}

impl Controls {
    fn node_orders(&self) -> NodeOrders {
        let upgrade = self.upgrades.as_ref().map(|upgrades| upgrades.orders.order());
        NodeOrders { drain: self.signals.order(), upgrade }
    }
}

/// Serves at the node's place in its cluster. `upgradable` is the program that an upgrade runs, and the thread that takes signals;
/// `taken` is the handover of the program that ran in this process before.
pub(crate) async fn serve(
    config: Config,
    listeners: Listeners,
    upgradable: Option<(Program, SignalThread)>,
    taken: Option<Taken>,
) -> Result<(), RunError> {
    let signals = StopSignals::listen().map_err(RunError::Server)?;
    let upgrades = upgradable.map(Upgrades::listen).transpose().map_err(RunError::Server)?;
    let place = cluster::join(&config, &listeners, taken.as_ref()).await?;
    let registry = place.registry.clone();
    let served = serve_at(place, &config, listeners, Controls { signals, upgrades }, taken).await;
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
    controls: Controls,
    taken: Option<Taken>,
) -> Result<(), RunError> {
    let node = Node::start(config, place, controls.node_orders(), taken.as_ref())?;
    let Controls { signals, upgrades } = controls;
    let mut restoring = taken.and_then(|taken| taken.state);
    if let Some((state, parked)) = &mut restoring {
        node.directory.begin_restoring();
        node.sources(config).resume_metrics(std::mem::take(&mut state.metrics));
        node.history.resume(std::mem::take(&mut state.history));
        if let Some(hls) = &node.hls {
            upgrade::restore_hls(hls, &mut state.node, parked, true);
        }
    }
    node.orders.synchronize().await;
    config.access.warn_of_openness();
    config.hls.warn_of_parts(config.streams.flush_interval);
    node.open_storage(config).await?;
    announce(config, &listeners, &node.place.node_id, restoring.is_some());
    // A scrape shows the rooms of before an upgrade, or waits for them.
    let turn = match restoring {
        Some(_) => Some(node.sources(config).scrape_turns.turn().await),
        None => None,
    };
    let kept = upgrades.is_some().then(|| listeners.try_clone()).transpose();
    let kept = kept.map_err(RunError::Server)?;
    let (server, parts) = node.listen(config, listeners)?;
    let server = server.run();
    // Signals have to be taken until the process ends, also once it cannot be upgraded any more.
    let _signal_thread = upgrades.as_ref().map(|upgrades| upgrades.signal_thread.clone());
    let upgrade = upgrades.zip(kept).map(|(Upgrades { orders, program, signal_thread }, listeners)| {
        let parts = parts.clone();
        (upgrader(&node, config, (program, signal_thread), listeners, parts, server.handle()), orders)
    });
    let (drain, handle) = (node.drain(config), server.handle());
    let directory = node.directory.clone();
    // Runs at this task's first await, by which the server has started its threads.
    actix_rt::spawn(async move {
        if let Some((state, parked)) = restoring {
            let restored = parts.restore(state.node, parked).await;
            directory.end_restoring();
            drop(turn);
            upgrade::log_upgraded(restored, state.parked_unix_ms);
        }
        obey(signals, upgrade, drain, handle).await;
    });
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

/// A viewer is a file descriptor, and the usual limit of 1024 is for shells.
pub(crate) fn raise_open_files_limit(max_connections: usize) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < max_connections as u64 => {
            ::log::warn!(limit = limit, max_connections = max_connections;
                "MAX_CONNECTIONS is above the limit of open files: connections beyond that wait");
        }
        Ok(_) => {}
        Err(error) => ::log::warn!(reason:% = error; "the limit of open files could not be raised"),
    }
}

/// Prints where to push and where to watch, unless the process has said so before an upgrade.
fn announce(config: &Config, listeners: &Listeners, node_id: &str, is_upgrade: bool) {
    ::log::info!(node = node_id, workers = config.limits.workers; "started");
    if is_upgrade {
        return;
    }
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
}

/// Writes to stdout from a thread of its own: a reader that does not read must not keep the server from serving.
fn say(text: String) {
    // A closed stdout does not make the server less useful.
    let say = move || drop(writeln!(io::stdout(), "{text}"));
    if let Err(error) = thread::Builder::new().name("stdout".to_owned()).spawn(say) {
        ::log::warn!(reason:% = error; "the addresses could not be written to stdout");
    }
}

fn upgrader(
    node: &Node,
    config: &Config,
    (program, signal_thread): (Program, SignalThread),
    listeners: Listeners,
    parts: UpgradeParts,
    server: ServerHandle,
) -> Upgrader {
    Upgrader {
        program,
        listeners,
        parts,
        node_id: node.place.node_id.clone(),
        incarnation: node.place.incarnation,
        registry: node.place.registry.clone(),
        permits: node.permits.clone(),
        tls_permits: node.ports.tls.clone(),
        hls: node.hls.clone(),
        sources: node.sources(config),
        history: node.history.clone(),
        leave_time: config.drain.times(node.place.in_cluster).viewers,
        server,
        signal_thread,
    }
}

/// Upgrades the process when that is ordered, until it is to stop.
async fn obey(
    mut signals: StopSignals,
    mut upgrade: Option<(Upgrader, UpgradeOrders)>,
    drain: Drain,
    server: ServerHandle,
) {
    let stop = loop {
        let Some((upgrader, orders)) = &mut upgrade else { break signals.first().await };
        tokio::select! {
            biased;
            signal = signals.first() => break signal,
            order = orders.next() => {
                if let Some(signal) = upgrader.run(order, &mut signals).await {
                    break signal;
                }
            }
        }
    };
    // Its handles would keep the ports open.
    drop(upgrade);
    drain.run_after(stop, signals, server).await;
}
