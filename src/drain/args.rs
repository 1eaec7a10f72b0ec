//! Settings of a node that stops.

use std::time::Duration;

use clap::{Args, value_parser};

/// The order to stop, and the time that it may take.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Drain")]
pub struct DrainArgs {
    /// Time that viewers may stay on a stopping node whose rooms others publish, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(0..=3600))]
    pub drain_timeout_s: u32,
}

impl DrainArgs {
    /// Time that viewers may stay.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.drain_timeout_s.into())
    }
}
