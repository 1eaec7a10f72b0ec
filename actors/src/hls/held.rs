//! Requests that are held: they wait for what a playlist does not list yet.

use std::time::Duration;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::metrics::HeldMark;

/// Maximum requests of all rooms that are held. More are refused.
pub(super) const HELD_MAX: usize = 20_000;

/// Maximum requests of one connection that are held. A player has one for the playlist and one for the next part of each of its
/// renditions, so that a few players of one browser stay below it.
const CONNECTION_HELD_MAX: usize = 16;

/// The places of one connection's requests that are held. A client with few connections cannot take all that there are.
///
/// There is no such limit for an address: behind one may be thousands of viewers, of a provider or of a proxy that is not
/// trusted. A connection over HTTP/1 needs none, as it has one request at a time.
#[derive(Debug)]
pub struct ConnectionHolds(Semaphore);

impl Default for ConnectionHolds {
    fn default() -> Self {
        Self(Semaphore::new(CONNECTION_HELD_MAX))
    }
}

impl ConnectionHolds {
    /// Takes a place, behind requests that came before. `None` if there is none within `patience`.
    pub(super) async fn take(&self, patience: Duration) -> Option<SemaphorePermit<'_>> {
        match self.0.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => timeout(patience, self.0.acquire()).await.ok()?.ok(),
        }
    }
}

/// The place of a request among those of its connection, if that has a limit.
#[derive(Debug)]
pub struct ConnectionPlace<'c> {
    pub(super) _permit: Option<SemaphorePermit<'c>>,
}

/// The end of the wait for held requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hold {
    /// No request waits, now or later.
    pub is_over: bool,
    /// Requests of an earlier round wait no longer.
    pub round: u64,
}

/// A request that is held. One of [`HELD_MAX`], and of its connection's.
#[derive(Debug)]
pub struct HeldRequest<'c> {
    /// Maximum time that it may wait.
    pub patience: Duration,
    pub(super) _place: ConnectionPlace<'c>,
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _mark: HeldMark,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_limit_of_a_connection_wait_for_those_before() {
        let (holds, patience) = (ConnectionHolds::default(), Duration::from_secs(6));
        let mut held = Vec::new();
        for _ in 0..CONNECTION_HELD_MAX {
            held.extend(holds.take(Duration::ZERO).await);
        }
        assert_eq!(held.len(), CONNECTION_HELD_MAX);
        assert!(holds.take(patience).await.is_none(), "it waits in vain");
        let (next, ()) = tokio::join!(holds.take(patience), async { drop(held.pop()) });
        assert!(next.is_some());
    }
}
