//! The signals and requests that stop the server.

use std::{io, sync::Arc};

use futures::FutureExt;
use log::info;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::yield_now,
};

/// The signals that stop the server, and those that must not.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    order: DrainOrder,
}

/// Makes the server drain, as the signal to stop does. Clones give the same order, and giving it again changes nothing.
#[derive(Debug, Clone, Default)]
pub struct DrainOrder(Arc<Notify>);

impl DrainOrder {
    /// Gives the order.
    pub fn give(&self) {
        self.0.notify_one();
    }
}

impl StopSignals {
    /// Registers handlers: from here on, none of these signals ends the process by itself.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            order: DrainOrder::default(),
        })
    }

    /// The order that counts like the first signal.
    pub fn order(&self) -> DrainOrder {
        self.order.clone()
    }

    /// Waits for a signal to stop, or the order to.
    pub(crate) async fn first(&mut self) -> &'static str {
        let order = self.order.clone();
        tokio::select! {
            signal = self.next() => signal,
            () = order.0.notified() => "POST /api/v1/server/drain",
        }
    }

    /// Returns a signal to stop that has come already.
    pub(crate) async fn came(&mut self) -> Option<&'static str> {
        // The runtime looks for signals when it looks for anything else.
        yield_now().await;
        self.first().now_or_never()
    }

    /// Waits for a signal to stop.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                // Operators send it to daemons that read their settings again; a terminal that closes sends it as well.
                _ = self.hangup.recv() => info!(
                    signal = "SIGHUP";
                    "signal ignored but for certificates: settings are read at the start only"),
            }
        }
    }
}
