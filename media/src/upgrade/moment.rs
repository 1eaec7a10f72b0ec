//! Moments of the monotonic clock, which a state names by their age: `Instant` has no other form outside of a process.

use std::time::{Duration, Instant};

use super::error::StateError;

/// The time that has passed since `moment`, in milliseconds.
pub fn age_ms(moment: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(moment).as_millis()).unwrap_or(u64::MAX)
}

/// The moment that is so many milliseconds ago, or `now` if the clock began later than that.
pub fn instant_of_age(age_ms: u64, now: Instant) -> Instant {
    now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now)
}

/// The latest time that a stream's media can have: those of its timeline stay below 2^31, and a further track's may be a little
/// ahead of it.
const MEDIA_TIME_MAX_MS: i64 = u32::MAX as i64;

/// Refuses a time that no timeline gives, with which sums could overflow.
pub fn check_media_time(time_ms: i64, part: &'static str) -> Result<(), StateError> {
    StateError::unless((0..=MEDIA_TIME_MAX_MS).contains(&time_ms), part, "a time is not on the timeline")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::testing::moment;

    #[test]
    fn a_moment_is_restored_from_its_age() {
        let moment = moment();
        let now = moment + Duration::from_millis(1_500);
        assert_eq!(age_ms(moment, now), 1_500);
        assert_eq!(age_ms(now, moment), 0, "no moment is in the future");
        let later = now + Duration::from_secs(1);
        assert_eq!(instant_of_age(1_500, later), moment + Duration::from_secs(1));
        assert!(instant_of_age(u64::MAX, now) <= now);
    }
}
