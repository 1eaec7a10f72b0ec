//! Settings of HLS.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};
use synctv_actors::hls::{HlsMode, HlsSettings};

use crate::config::units::MIB;

/// Time that an ended stream's playlist and segments stay: a viewer who is a little behind sees the end.
const KEEP_ENDED: Duration = Duration::from_secs(30);

/// Time without a request after which a stream is no longer segmented on demand: players ask every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Segments and playlists of every room.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "HLS")]
pub struct HlsArgs {
    /// Streams that are segmented for HLS: "always" all, "on-demand" those with a viewer (the first one waits for a
    /// segment), "off" none
    #[arg(long, env, value_enum, default_value_t = HlsWhen::Always)]
    pub hls: HlsWhen,

    /// Directory for segments; they are deleted when they expire
    #[arg(long, env, default_value = "./hls_storage")]
    pub hls_storage: PathBuf,

    /// Minimum duration of a segment, in milliseconds; it ends at the next keyframe
    #[arg(long, env, default_value_t = 2000, value_parser = value_parser!(u32).range(500..=20_000))]
    pub hls_target_ms: u32,

    /// Segments in a playlist
    #[arg(long, env, default_value_t = 6, value_parser = value_parser!(u16).range(3..=100))]
    pub hls_window: u16,

    /// Memory for the newest segments of all rooms, here and on other nodes, and for buffers of the next, in MiB; older
    /// segments are read from their files
    #[arg(long, env, default_value_t = 16, value_parser = value_parser!(u32).range(1..=65536))]
    pub hls_memory_mb: u32,
}

/// Streams that are segmented for HLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HlsWhen {
    /// All.
    Always,
    /// Those with a viewer.
    OnDemand,
    /// None.
    Off,
}

impl HlsArgs {
    /// The settings of all rooms, unless HLS is off. `in_cluster`: other nodes publish rooms as well.
    pub fn settings(&self, in_cluster: bool) -> Option<HlsSettings> {
        let mode = match self.hls {
            HlsWhen::Always => HlsMode::Always,
            HlsWhen::OnDemand => HlsMode::OnDemand,
            HlsWhen::Off => return None,
        };
        Some(HlsSettings {
            mode,
            target_ms: self.hls_target_ms,
            window: self.hls_window.into(),
            storage: self.hls_storage.clone(),
            memory_max_bytes: self.hls_memory_mb as usize * MIB,
            keep_ended: KEEP_ENDED,
            in_cluster,
            idle_timeout: IDLE_TIMEOUT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parse;

    #[test]
    fn hls_is_always_on_unless_it_is_set_otherwise() {
        let mode = |args: &[&str]| parse(args).unwrap().hls.settings(false).map(|hls| hls.mode);
        assert_eq!(mode(&[]), Some(HlsMode::Always));
        assert_eq!(mode(&["--hls", "on-demand"]), Some(HlsMode::OnDemand));
        assert_eq!(mode(&["--hls", "off"]), None);
    }
}
