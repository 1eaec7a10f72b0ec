//! The settings of a drain.

use std::time::Duration;

use clap::{Args, value_parser};
use synctv_actors::events::MOVE_WAIT_MAX;

/// The order to stop, and the times that it may take.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Drain")]
pub struct DrainArgs {
    /// Time that a stopping node still accepts newcomers, because balancers notice late, in seconds
    #[arg(long, env, default_value_t = 0, value_parser = value_parser!(u32).range(0..=3600))]
    pub drain_delay_s: u32,

    /// Time that publishers may stay after that before they are sent to other nodes, in seconds
    #[arg(long, env, default_value_t = 0, value_parser = value_parser!(u32).range(0..=86_400))]
    pub drain_publishers_s: u32,

    /// Time that viewers may stay on a stopping node whose rooms others publish, in seconds; in its second half they are
    /// disconnected evenly
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(0..=3600))]
    pub drain_timeout_s: u32,

    /// Time that a room is reserved for its publisher on the way to another node, in seconds; 0 lets anyone take it
    #[arg(long, env, default_value_t = 15, value_parser = value_parser!(u32).range(0..=300))]
    pub handover_s: u32,
}

/// The times of a drain, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainTimes {
    /// Newcomers are still let in.
    pub delay: Duration,
    /// Publishers may stay.
    pub publishers: Duration,
    /// Viewers may stay.
    pub viewers: Duration,
    /// A room is kept for its publisher.
    pub handover: Duration,
}

impl DrainArgs {
    /// The times on a node that shares its rooms with others, or that is alone: its publishers and viewers have nowhere to
    /// go, and are disconnected at once.
    pub(crate) fn times(&self, in_cluster: bool) -> DrainTimes {
        let elsewhere = |time_s| if in_cluster { seconds(time_s) } else { Duration::ZERO };
        DrainTimes {
            delay: seconds(self.drain_delay_s),
            publishers: seconds(self.drain_publishers_s),
            viewers: elsewhere(self.drain_timeout_s),
            handover: elsewhere(self.handover_s),
        }
    }
}

impl DrainTimes {
    /// The time that a publisher may be kept for the right moment: no longer than viewers may stay, who see the room from the
    /// next node only after it.
    pub(super) fn move_wait_max(&self) -> Duration {
        MOVE_WAIT_MAX.min(self.viewers)
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        drain: DrainArgs,
    }

    #[test]
    fn publishers_are_kept_for_ten_seconds_at_most_and_no_longer_than_the_drain_takes() {
        for (drain_timeout_s, expected_s) in [("3600", 10), ("10", 10), ("4", 4), ("0", 0)] {
            let Program { drain } = Program::parse_from(["program", "--drain-timeout-s", drain_timeout_s]);
            assert_eq!(drain.times(true).move_wait_max(), seconds(expected_s), "of {drain_timeout_s} s");
        }
    }
}
