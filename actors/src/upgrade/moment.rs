//! Moments of the runtime's clock, by their age.

use synctv_media::upgrade;
use tokio::time::Instant;

/// The time that has passed since `moment`, in milliseconds.
pub(crate) fn age_ms(moment: Instant, now: Instant) -> u64 {
    upgrade::age_ms(moment.into_std(), now.into_std())
}

/// The moment that is so many milliseconds ago, or `now` if the clock began later than that.
pub(crate) fn instant_of_age(age_ms: u64, now: Instant) -> Instant {
    upgrade::instant_of_age(age_ms, now.into_std()).into()
}
