//! The signal and the request that upgrade the server.

use std::{io, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

/// Makes the server upgrade itself, as SIGUSR2 does. Clones give the same order. One that is given while an upgrade is under
/// way is another one behind it, if that fails.
#[derive(Debug, Clone, Default)]
pub struct UpgradeOrder(Arc<Notify>);

/// The orders to upgrade.
#[derive(Debug)]
pub(crate) struct UpgradeOrders {
    signal: Signal,
    order: UpgradeOrder,
}

impl UpgradeOrder {
    /// Gives the order.
    pub fn give(&self) {
        self.0.notify_one();
    }
}

impl UpgradeOrders {
    /// Registers the handler: from here on, the signal does not end the process.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::user_defined2())?, order: UpgradeOrder::default() })
    }

    /// The order that counts like the signal.
    pub fn order(&self) -> UpgradeOrder {
        self.order.clone()
    }

    /// Waits for the next order.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.signal.recv() => "SIGUSR2",
            () = self.order.0.notified() => "POST /api/v1/server/upgrade",
        }
    }
}
