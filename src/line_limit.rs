//! Log lines of which a peer can cause any number: one a second, which counts the others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts events of one kind between lines. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(crate) struct LineLimit(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    unsaid: u64,
    said: Option<Instant>,
}

impl LineLimit {
    /// Counts an event. Returns how many there were since the last line, if it is time for another one.
    pub fn count(&self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&self, now: Instant) -> Option<u64> {
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
        let limit = LineLimit::default();
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(limit.count_at(at(0)), Some(1));
        assert_eq!(limit.clone().count_at(at(1)), None);
        assert_eq!(limit.count_at(at(999)), None);
        assert_eq!(limit.count_at(at(1000)), Some(3));
        assert_eq!(limit.count_at(at(1001)), None);
    }
}
