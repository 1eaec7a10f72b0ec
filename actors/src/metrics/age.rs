//! The time since something was last done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::SteadyClock;

/// The time since something was last done, such as the renewal of a lease. Clones share it.
#[derive(Debug, Clone)]
pub struct Age {
    clock: SteadyClock,
    /// 0 as long as it was not done.
    done_ms: Arc<AtomicU64>,
}

impl Age {
    /// Starts the clock. It was not done yet.
    pub(super) fn start() -> Self {
        Self { clock: SteadyClock::start(), done_ms: Arc::default() }
    }

    /// Notes that it was done just now.
    pub(crate) fn note(&self) {
        self.done_ms.store(self.clock.now_ms().max(1), Ordering::Relaxed);
    }

    /// Returns the time since it was last done; `None` if it never was.
    pub fn get(&self) -> Option<Duration> {
        let done_ms = self.done_ms.load(Ordering::Relaxed);
        (done_ms > 0).then(|| Duration::from_millis(self.clock.now_ms().saturating_sub(done_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_none_before_the_first_time() {
        let age = Age::start();
        assert_eq!(age.get(), None);
        age.clone().note();
        assert!(age.get().is_some());
    }
}
