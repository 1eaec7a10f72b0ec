//! Limits of one node, over all rooms and protocols.

use std::time::Duration;

use clap::{Args, value_parser};

use super::{
    parse::parse_count,
    units::{MIB, seconds},
};

/// The framework panics above it.
const WORKERS_MAX: usize = 512;

/// The node's limits.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Maximum connections over all ports; more are refused
    #[arg(long, env, default_value_t = 20_000, value_parser = parse_count)]
    pub max_connections: usize,

    /// Maximum rooms published on this node, and maximum rooms pulled from other nodes; more are refused
    #[arg(long, env, default_value_t = 1000, value_parser = parse_count)]
    pub max_rooms: usize,

    /// Maximum size of a frame from a publisher, in MiB
    #[arg(long, env, default_value_t = 8, value_parser = value_parser!(u32).range(1..=15))]
    pub max_message_mb: u32,

    /// Maximum size of an RTMP command, in KiB
    #[arg(long, env, default_value_t = 64, value_parser = value_parser!(u32).range(4..=1024))]
    pub max_command_kb: u32,

    /// Time limit for an RTMP handshake and for the head of an HTTP request, in seconds
    #[arg(long, env, default_value_t = 5, value_parser = value_parser!(u32).range(1..=600))]
    pub handshake_timeout_s: u32,

    /// Time limit for an RTMP connection that neither publishes nor plays, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600))]
    pub idle_timeout_s: u32,

    /// Threads that serve connections; HLS has as many again, of a lower priority [default: one per core]
    #[arg(long, env, default_value_t = cores(), hide_default_value = true, value_parser = parse_workers)]
    pub workers: usize,
}

impl LimitArgs {
    /// The largest frame that is taken from a publisher or another node.
    pub fn frame_limit_bytes(&self) -> usize {
        self.max_message_mb as usize * MIB
    }

    /// The time limit for a handshake or a request's head.
    pub fn handshake_timeout(&self) -> Duration {
        seconds(self.handshake_timeout_s)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=WORKERS_MAX) => Ok(count),
        _ => Err(format!("it is not a number of 1 to {WORKERS_MAX}")),
    }
}
