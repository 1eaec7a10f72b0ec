//! Limits for viewers that are slower than their stream.

use std::time::Duration;

use clap::{Args, value_parser};
use synctv_media::stream::viewer_queue::LagLimits;

use super::units::{MIB, seconds};

/// Limits for viewers that fall behind or stall.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Slow viewers")]
pub struct ViewerArgs {
    /// Maximum media queued for a viewer, in MiB, besides the newest keyframe, which may be larger; over it, the viewer
    /// skips to a later keyframe
    #[arg(long, env, default_value_t = 4, value_parser = value_parser!(u32).range(1..=1024))]
    pub viewer_queue_mb: u32,

    /// Maximum media queued for a viewer, in milliseconds
    #[arg(long, env, default_value_t = 4000, value_parser = value_parser!(u32).range(100..=600_000))]
    pub viewer_queue_ms: u32,

    /// Time after which a viewer that accepts no bytes is disconnected, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(1..=3600))]
    pub viewer_stall_timeout_s: u32,
}

impl ViewerArgs {
    /// The limits in the form that viewers apply.
    pub fn lag_limits(&self) -> LagLimits {
        LagLimits {
            queue_max_bytes: self.viewer_queue_mb as usize * MIB,
            queue_max_ms: self.viewer_queue_ms.into(),
            stall_max: self.stall_timeout(),
        }
    }

    /// Time without an accepted byte.
    pub fn stall_timeout(&self) -> Duration {
        seconds(self.viewer_stall_timeout_s)
    }
}
