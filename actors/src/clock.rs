//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970, as tokens count.
pub(crate) fn unix_s() -> u64 {
    unix_ms() / 1000
}
