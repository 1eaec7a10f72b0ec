//! The wall clock, which dates what viewers see.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock: milliseconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "what is dated for viewers and over restarts is the wall clock's"
)]
pub(crate) fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
