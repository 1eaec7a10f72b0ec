//! Scrapes and upgrades in place, one at a time.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Makes scrapes and upgrades take turns. Clones belong to the same node.
///
/// A scrape waits from the moment at which the first viewer stops until the program is replaced. It would show fewer viewers than
/// there are, and counts that the next program does not have.
#[derive(Debug, Clone, Default)]
pub struct ScrapeTurns(Arc<Mutex<()>>);

impl ScrapeTurns {
    /// Waits for scrapes, or for an upgrade that fails. The turn ends when it is dropped.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.0.clone().lock_owned().await
    }
}
