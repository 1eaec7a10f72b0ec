//! Log lines for connections over the limit: at most one a second.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use log::warn;
use tokio::time::Instant;

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts refused connections. Clones share what they count.
#[derive(Debug, Clone, Default)]
pub struct RefusalLog(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    unsaid: u64,
    said: Option<Instant>,
}

impl RefusalLog {
    /// A connection of `peer` to `port` was refused, because there are `limit` already.
    pub fn note(&self, port: &'static str, peer: SocketAddr, limit: usize) {
        if let Some(connections) = self.count(Instant::now()) {
            warn!(port = port, peer:% = peer, connections = connections, limit = limit;
                "connections refused: MAX_CONNECTIONS reached");
        }
    }

    /// Returns the count to log, if a line is due.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.unsaid += 1;
        if count.said.is_some_and(|said| now - said < INTERVAL) {
            return None;
        }
        count.said = Some(now);
        Some(std::mem::take(&mut count.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_line_a_second_that_counts_it() {
        let refusals = RefusalLog::default();
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(refusals.count(at(0)), Some(1));
        assert_eq!(refusals.clone().count(at(1)), None);
        assert_eq!(refusals.count(at(999)), None);
        assert_eq!(refusals.count(at(1000)), Some(3));
        assert_eq!(refusals.count(at(1001)), None);
    }
}
