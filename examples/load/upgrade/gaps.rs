//! The time that viewers are without data.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;

/// The current period. A gap belongs to the period in which it ends. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    period: Cell<usize>,
    /// The longest gap of each viewer that has ended, by period.
    ended: RefCell<Vec<Vec<Duration>>>,
}

/// The longest gaps of one viewer, which are reported when this is dropped.
#[derive(Debug)]
pub struct Gaps {
    clock: Clock,
    last: Option<Instant>,
    longest: Vec<Duration>,
}

impl Clock {
    /// Begins the next period.
    pub fn next_period(&self) {
        self.0.period.set(self.0.period.get() + 1);
    }

    /// Returns the longest gap of each viewer in a period, in ascending order, once the viewers have been dropped.
    pub fn longest(&self, period: usize) -> Vec<Duration> {
        let ended = self.0.ended.borrow();
        let mut longest: Vec<Duration> =
            ended.iter().map(|gaps| gaps.get(period).copied().unwrap_or_default()).collect();
        longest.sort_unstable();
        longest
    }
}

impl Gaps {
    /// Of a viewer who has got nothing yet.
    pub fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), last: None, longest: Vec::new() }
    }

    /// Notes that data came.
    pub fn note(&mut self) {
        let now = Instant::now();
        let period = self.clock.0.period.get();
        if self.longest.len() <= period {
            self.longest.resize(period + 1, Duration::ZERO);
        }
        let gap = self.last.replace(now).map_or(Duration::ZERO, |last| now - last);
        self.longest[period] = self.longest[period].max(gap);
    }
}

impl Drop for Gaps {
    fn drop(&mut self) {
        // The last gap lasts up to now.
        self.note();
        self.clock.0.ended.borrow_mut().push(std::mem::take(&mut self.longest));
    }
}
