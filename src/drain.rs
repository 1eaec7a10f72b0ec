//! The drain: the node releases its claims and asks its publishers to reconnect before the process exits.

mod args;

use std::time::Duration;

use actix_server::ServerHandle;
use log::{info, warn};
use synctv_actors::{
    cluster::registry::RegistryHandle, connection_limit::ConnectionLimit, directory::StreamDirectory,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, timeout},
};

pub use self::args::DrainArgs;

/// The interval at which the drain checks whether connections are left.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Time limit for the streams to release their publishers. A thread that hangs does not keep the process running.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(3);

/// The parts that a drain acts on.
#[derive(Debug)]
pub struct Drain {
    /// Refuses new publishers and viewers.
    pub directory: StreamDirectory,
    /// Gives the node's rooms and its lease back.
    pub registry: RegistryHandle,
    /// Counts who is left.
    pub permits: ConnectionLimit,
    /// How long viewers may stay, who follow their rooms to other nodes meanwhile. Those of a node that is alone have
    /// nothing to wait for.
    pub patience: Duration,
}

/// The signals that stop the server, and those that must not.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// From here on, they are heard.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                // Operators send it to daemons that read their settings again; a terminal that closes sends it as well.
                _ = self.hangup.recv() => info!(signal = "SIGHUP"; "signal ignored: settings are read at the start only"),
            }
        }
    }
}

impl Drain {
    /// Waits for a signal, gives everything away, and stops the server. A second signal cuts the waiting short.
    pub async fn on_signal(self, mut signals: StopSignals, server: ServerHandle) {
        let signal = signals.next().await;
        info!(signal = signal, connections = self.permits.held(); "stopping");
        tokio::select! {
            () = self.give_away() => {}
            signal = signals.next() => warn!(signal = signal; "stopping at once"),
        }
        server.stop(true).await;
    }

    async fn give_away(&self) {
        match timeout(STREAMS_TIMEOUT, self.directory.drain()).await {
            Ok(Ok(())) => {}
            Ok(Err(ended)) => warn!(reason:% = ended; "publishers could not be released"),
            Err(_) => warn!("some streams did not release their publishers in time"),
        }
        self.registry.leave().await;
        let deadline = Instant::now() + self.patience;
        while self.permits.held() > 0 && Instant::now() < deadline {
            sleep(CHECK_INTERVAL).await;
        }
        info!(connections = self.permits.held(); "drain finished");
    }
}
