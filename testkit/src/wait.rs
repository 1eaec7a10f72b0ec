//! The limit on waits, and waiting for what nothing announces.

use std::time::{Duration, Instant};

/// Time limit for every event. Only a failing test waits this long, so a busy machine gets ample time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks of [`poll_until`].
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the time, for limits on waits and for lower bounds on how long something took.
#[allow(clippy::disallowed_methods, reason = "the server is another process: its clock cannot be paused")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until `look` finds something. Only for the state of another process, or of the disk, that nothing announces: log
/// lines, frames and answers can be awaited.
pub fn poll_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    poll_for(look).unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}"))
}

/// Like [`poll_until`], for a caller that describes the failure; `None` if nothing was found in time.
#[allow(clippy::disallowed_methods, reason = "another process does not announce its state")]
pub fn poll_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if now() >= deadline {
            return None;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
