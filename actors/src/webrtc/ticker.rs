//! The timer of an actor's viewers.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, SpawnHandle};

/// Interval at which replays go on.
const PACE_INTERVAL: Duration = Duration::from_millis(10);

/// Interval while no viewer is replayed to: reports and timers of connections are due with the next frame anyway, unless none comes.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// The timer. It runs at the pace of replays while there are any, and wakes the thread seldom otherwise.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    next: Option<SpawnHandle>,
    paces: bool,
}

impl Ticker {
    /// Sets the timer for the next `tick`, which has to call this again. A timer that was set before is replaced.
    pub fn set<A: Actor<Context = Context<A>>>(
        &mut self,
        paces: bool,
        ctx: &mut Context<A>,
        tick: fn(&mut A, &mut Context<A>),
    ) {
        if let Some(next) = self.next.take() {
            ctx.cancel_future(next);
        }
        let interval = if paces { PACE_INTERVAL } else { IDLE_INTERVAL };
        (self.next, self.paces) = (Some(ctx.run_later(interval, tick)), paces);
    }

    /// Returns whether the timer is set for the pace of replays.
    pub fn paces(&self) -> bool {
        self.paces
    }
}
