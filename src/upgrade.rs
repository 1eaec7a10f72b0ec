//! Upgrade in place: another program takes over in this process, with the connections and streams of this one.
//!
//! [`Upgrader::run`] has the order. Up to the moment at which everything stops, nothing is lost if something fails; from
//! there on, the same state is restored here that the next program would have been given.

mod acceptor;
mod handover;
pub(crate) mod order;
mod program;
mod taken;

use std::{os::fd::OwnedFd, time::Duration};

use actix_server::ServerHandle;
use log::{error, info, warn};
use synctv_actors::{
    clock::unix_ms,
    cluster::registry::{Readiness, RegistryHandle},
    connection_limit::ConnectionLimit,
    directory::DirectoryEnded,
    events::LeaveWindow,
    hls::HlsSessions,
    upgrade::{
        UpgradeParts,
        lot::{Parked, ParkingLot},
    },
};
use synctv_media::upgrade::{Blobs, StateError, StateFile};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use self::{acceptor::Acceptor, handover::Handover, program::Unfit};
pub(crate) use self::{
    program::Program,
    taken::{ProcessState, Taken},
};
use crate::{
    console::History, drain::StopSignals, listeners::Listeners, log::flush, metrics::NodeSources,
    signals::SignalThread,
};
pub(crate) use synctv_actors::upgrade::restore_hls;

/// Time for connections that cannot be handed over to get their answers, while others are let in, and once none is.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for encrypted connections to take leave of their peers once they are to end.
const ENCRYPTED_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for requests that are held to get what they wait for, while others are let in, and again once none is. Then they are let go
/// without it.
const HELD_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for the accept loop to stop, and for the threads to take the connections that it gave them.
const ACCEPTED_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval at which it is checked whether they have.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// Time for segments to be written to their files.
const FILES_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for everything to stop. A thread that hangs for longer keeps what it has, and the upgrade is given up.
const PARK_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for the log's last lines to be written before the program that has them is replaced.
const LOG_TIMEOUT: Duration = Duration::from_millis(20);

/// The parts of the server that an upgrade acts on.
pub(crate) struct Upgrader {
    /// The program that takes over.
    pub program: Program,
    /// Other handles to the sockets that the server listens on.
    pub listeners: Listeners,
    /// Everything that is handed over.
    pub parts: UpgradeParts,
    /// The node's name.
    pub node_id: String,
    /// The process, as other nodes know it.
    pub incarnation: u64,
    /// The node's claims, which stay its own.
    pub registry: RegistryHandle,
    /// Counts all connections.
    pub permits: ConnectionLimit,
    /// Counts those over TLS.
    pub tls_permits: ConnectionLimit,
    /// Has requests that wait for what comes next.
    pub hls: Option<HlsSessions>,
    /// Time within which connections leave that cannot be handed over.
    pub leave_time: Duration,
    /// Accepts connections.
    pub server: ServerHandle,
    /// Takes the process's signals.
    pub signal_thread: SignalThread,
    /// The parts that count.
    pub sources: NodeSources,
    /// The console's charts.
    pub history: History,
}

/// The reason an upgrade was given up. Everything goes on as before.
#[derive(Debug, Error)]
enum NotUpgraded {
    /// The program refuses.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// The next program could not join the cluster.
    #[error("the registry is not ready: {0}")]
    Registry(String),
    /// There is no descriptor or memory left for it.
    #[error("it cannot be prepared: {0}")]
    Prepare(std::io::Error),
    /// The directory is not there.
    #[error(transparent)]
    Directory(#[from] DirectoryEnded),
    /// A thread hangs.
    #[error("not everything stopped within {} s", PARK_TIMEOUT.as_secs())]
    Incomplete,
    /// A signal could be lost.
    #[error("signals cannot be blocked: {0}")]
    Signals(std::io::Error),
    /// The state cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system refuses.
    #[error("the program cannot be replaced: {0}")]
    Replace(std::io::Error),
}

impl Upgrader {
    /// Upgrades the process. Returns if that failed, or with the signal to stop that came first.
    pub async fn run(&self, order: &'static str, signals: &mut StopSignals) -> Option<&'static str> {
        info!(signal = order, program:% = self.program.path().display(); "upgrade started");
        let quieted = async {
            let handover = self.prepare().await?;
            self.quiet().await?;
            Ok::<_, NotUpgraded>(handover)
        };
        let outcome = tokio::select! {
            biased;
            signal = signals.first() => Err(Some(signal)),
            quieted = quieted => quieted.map_err(|reason| {
                log_given_up(&reason);
                None
            }),
        };
        let stop = match outcome {
            Ok(handover) => self.replace(handover, signals).await,
            Err(stop) => stop,
        };
        self.parts.rtmp.directory.withdraw_upgrade();
        if let Some(hls) = &self.hls {
            hls.cancel_upgrade();
        }
        self.server.resume().await;
        stop
    }

    /// Does all that can fail before anything is changed.
    async fn prepare(&self) -> Result<Handover, NotUpgraded> {
        self.program.check().await?;
        if let Readiness::NotReady { reason } = self.registry.readiness().await {
            return Err(NotUpgraded::Registry(reason));
        }
        let handover = Handover::prepare().map_err(NotUpgraded::Prepare)?;
        if let Some(hls) = &self.hls
            && timeout(FILES_TIMEOUT, hls.prepare_upgrade()).await.is_err()
        {
            warn!("segments are not all in their files: those that fit are handed over");
        }
        Ok(handover)
    }

    /// Closes what cannot be handed over: encrypted connections and WebRTC within their time, then connections that wait for a
    /// request, and those that are answered behind their answer. Requests that are held have time to get what they wait for.
    /// Newcomers wait from here on.
    async fn quiet(&self) -> Result<(), NotUpgraded> {
        let directory = &self.parts.rtmp.directory;
        if self.has_encrypted() {
            self.close_encrypted(self.leave_time).await?;
        }
        directory.announce_upgrade();
        self.wait_for_answers(HELD_TIMEOUT).await;
        self.stop_accepting().await;
        if self.has_encrypted() {
            // Those that came back meanwhile, or are still about to take leave.
            self.close_encrypted(Duration::ZERO).await?;
            self.wait_for_encrypted(ENCRYPTED_TIMEOUT).await;
        }
        self.wait_for_answers(HELD_TIMEOUT).await;
        if let Some(hls) = &self.hls {
            hls.answer_held();
        }
        self.wait_for_answers(ANSWERS_TIMEOUT).await;
        Ok(())
    }

    /// Returns once each connection that was accepted is counted: one that still waits for its thread would be closed by
    /// `execve`. The framework's [`pause`](ServerHandle::pause) waits neither for its accept loop nor for its threads.
    async fn stop_accepting(&self) {
        self.server.pause().await;
        let stopped = async {
            let acceptor = Acceptor::find();
            while acceptor.as_ref().is_some_and(Acceptor::is_running) {
                sleep(CHECK_INTERVAL).await;
            }
            self.parts.reach_threads().await;
        };
        if timeout(ACCEPTED_TIMEOUT, stopped).await.is_err() {
            warn!("threads are late: connections that came last may be closed");
        }
    }

    fn has_encrypted(&self) -> bool {
        self.tls_permits.held_by_port() > 0 || self.parts.has_webrtc()
    }

    async fn close_encrypted(&self, time: Duration) -> Result<(), NotUpgraded> {
        let directory = &self.parts.rtmp.directory;
        let begins = Instant::now();
        let window = LeaveWindow {
            begins,
            length: time,
            notice: Duration::ZERO,
            next_node: None,
            only_encrypted: true,
        };
        directory.move_viewers(window).await?;
        self.wait_for_encrypted(time).await;
        self.parts.rtmp.connections.close_encrypted();
        Ok(())
    }

    /// Waits until no encrypted connection is left.
    async fn wait_for_encrypted(&self, time: Duration) {
        let begun = Instant::now();
        while self.has_encrypted() && begun.elapsed() < time {
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Waits until all connections that are left can be handed over, but not for long: a client may be slow, or say nothing.
    async fn wait_for_answers(&self, time: Duration) {
        let begun = Instant::now();
        while self.permits.held() > self.parts.connections() && begun.elapsed() < time {
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Stops everything and replaces the program. If that fails, everything goes on here. Returns a signal to stop that came
    /// meanwhile. Signals that come after the last look for one wait for the next program.
    async fn replace(&self, mut handover: Handover, signals: &mut StopSignals) -> Option<&'static str> {
        // A scrape that takes longer may show counts that are not carried.
        let _turn = timeout(PARK_TIMEOUT, self.sources.scrape_turns.turn()).await.ok();
        let (parked_unix_ms, begun) = (unix_ms(), Instant::now());
        let lot = ParkingLot::new(begun + PARK_TIMEOUT);
        let node = self.parts.park(&lot).await;
        let listeners = self.listeners.park(&lot);
        let (blobs, descriptors) = lot.take();
        let held = self.signal_thread.hold().map_err(NotUpgraded::Signals);
        let stop = signals.came().await;
        let incomplete = (!lot.is_complete()).then_some(NotUpgraded::Incomplete);
        let mut failure = held.err().or(incomplete);
        let mut node = match listeners {
            Ok(listeners) => {
                let (metrics, history) = (self.sources.metrics_state(), self.history.state());
                let node_id = self.node_id.clone();
                let state = ProcessState { node_id, parked_unix_ms, listeners, node, metrics, history };
                if failure.is_none() && stop.is_none() {
                    failure = Some(self.hand_over(&mut handover, &state, &blobs, &descriptors));
                }
                state.node
            }
            Err(reason) => {
                failure = failure.or(Some(NotUpgraded::Prepare(reason)));
                node
            }
        };
        drop(handover);
        if let Err(reason) = self.signal_thread.release() {
            warn!(reason:% = reason; "signals stay blocked");
        }
        if let Some(reason) = failure {
            log_given_up(&reason);
        }
        let parked = Parked::new(blobs, descriptors);
        if let Some(hls) = &self.hls {
            restore_hls(hls, &mut node, &parked, false);
        }
        let restored = self.parts.restore(node, parked).await;
        warn!(
            rooms = restored.rooms, publishers = restored.publishers, viewers = restored.viewers,
            paused_ms = begun.elapsed().as_millis() as u64;
            "connections resumed");
        stop
    }

    /// Returns only the reason for which it failed.
    fn hand_over(
        &self,
        handover: &mut Handover,
        state: &ProcessState,
        blobs: &Blobs,
        descriptors: &[OwnedFd],
    ) -> NotUpgraded {
        let file = match StateFile::encode(state, blobs) {
            Ok(file) => file,
            Err(reason) => return reason.into(),
        };
        if let Err(reason) = handover.send(self.incarnation, file.parts(), descriptors) {
            return NotUpgraded::Prepare(reason);
        }
        info!(connections = descriptors.len(), state_bytes = file.size_bytes(); "program replaced");
        flush(LOG_TIMEOUT);
        NotUpgraded::Replace(self.program.replace_this(handover.stdin()))
    }
}

fn log_given_up(reason: &NotUpgraded) {
    error!(reason:% = reason; "upgrade given up: the server goes on as before");
}

/// Logs the end of an upgrade, which began when everything stopped at `parked_unix_ms`.
pub(crate) fn log_upgraded(restored: synctv_actors::upgrade::Restored, parked_unix_ms: u64) {
    info!(
        rooms = restored.rooms, publishers = restored.publishers, viewers = restored.viewers,
        paused_ms = unix_ms().saturating_sub(parked_unix_ms);
        "upgraded");
}
