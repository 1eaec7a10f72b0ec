//! The timer of a stream's next flush.

use tokio::time::Instant;

/// The timer of a stream's flushes.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlushTimer {
    Idle,
    /// A timer runs, for media that goes out at this time at the latest.
    Armed(Instant),
    /// A timer runs, but its media went out already.
    Spent,
}
