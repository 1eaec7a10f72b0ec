//! The clock of sender reports.

use std::time::{Duration, Instant};

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// A moment on both clocks, that of the process and that of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// The moment.
    pub at: Instant,
    /// Time from the beginning of 1970 to then.
    pub since_1970: Duration,
}

impl WallClock {
    /// Returns a moment as reports have it (RFC 3550, section 4): in 2^-32 s since 1900.
    pub(super) fn ntp(self, now: Instant) -> u64 {
        let since_1970 = self.since_1970.saturating_add(now.saturating_duration_since(self.at));
        let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
        // The seconds wrap in 2036 (RFC 5905, section 6).
        since_1970.as_secs().wrapping_add(NTP_OFFSET_S) << 32 | fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_1900_and_in_fractions_of_a_power_of_two() {
        #[allow(clippy::disallowed_methods, reason = "an instant to count from")]
        let at = Instant::now();
        let clock = WallClock { at, since_1970: Duration::from_secs(1) };
        assert_eq!(clock.ntp(at), 2_208_988_801 << 32);
        assert_eq!(clock.ntp(at + Duration::from_millis(1750)), 2_208_988_802 << 32 | 0xC000_0000);
    }
}
