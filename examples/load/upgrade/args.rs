//! The flags of upgrades under load.

use std::path::PathBuf;

use clap::Args as Flags;

/// Settings of the upgrades, and of peers besides `--viewers` and `--publishers`.
#[derive(Debug, Clone, Flags)]
pub struct UpgradeArgs {
    /// Start this server and a second node, upgrade them under load, and print which promises were kept; ends with an error if one
    /// was not
    #[arg(long, value_name = "SERVER")]
    pub upgrade: Option<PathBuf>,
    /// Upgrades of the first node, one after the other
    #[arg(long, default_value_t = 10)]
    pub upgrades: usize,
    /// Upgrades of the second node, which pulls the room
    #[arg(long, default_value_t = 3)]
    pub edge_upgrades: usize,
    /// Of the publishers, those that are FFmpeg, if it is installed
    #[arg(long, default_value_t = 10)]
    pub ffmpeg_publishers: usize,
    /// RTMP players of the room
    #[arg(long, default_value_t = 20)]
    pub players: usize,
    /// Viewers of the room over HTTP-FLV at the second node
    #[arg(long, default_value_t = 50)]
    pub edge_viewers: usize,
    /// Viewers of the room over HLS
    #[arg(long, default_value_t = 4)]
    pub followers: usize,
    /// Longest gap of any viewer that is no broken promise, in milliseconds; not looked at by default
    #[arg(long)]
    pub gap_max_ms: Option<u64>,
}
