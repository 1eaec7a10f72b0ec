//! The wall clock, and one that does not go back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since its start, of a clock that does not go back: small enough for an atomic, unlike an [`Instant`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteadyClock(Instant);

impl SteadyClock {
    /// Starts a clock at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn now_ms(self) -> u64 {
        self.at_ms(Instant::now())
    }

    /// Returns the time from the start to `time`, which saves a look at the system's clock; 0 for what was before.
    pub fn at_ms(self, time: Instant) -> u64 {
        whole_ms(time.saturating_duration_since(self.0))
    }
}

/// Returns milliseconds since 1970: the wall clock, which is the only one that two processes share.
pub fn unix_ms() -> u64 {
    whole_ms(since_1970())
}

/// Returns the time since the beginning of 1970.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns seconds since 1970, as tokens count.
pub(crate) fn unix_s() -> u64 {
    unix_ms() / 1000
}

/// Returns a duration in whole milliseconds.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_clock_counts_from_its_start() {
        let clock = SteadyClock::start();
        assert_eq!(clock.now_ms(), 0);
        tokio::time::advance(Duration::from_micros(2999)).await;
        assert_eq!(clock.now_ms(), 2);
        let now = Instant::now();
        assert_eq!(clock.at_ms(now + Duration::from_millis(5)), 7);
        assert_eq!(clock.at_ms(now - Duration::from_millis(9)), 0);
    }

    #[test]
    fn a_duration_that_does_not_fit_is_the_longest() {
        assert_eq!(whole_ms(Duration::MAX), u64::MAX);
    }
}
