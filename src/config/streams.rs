//! Settings of streams: the GOP cache, delivery, and the publisher's grace.

use std::time::Duration;

use clap::{ArgAction, Args, value_parser};
use synctv_actors::events::Flush;
use synctv_media::stream::{gop::GopLimits, video_entry::EntryLimits};

use super::units::{MIB, seconds};

/// Settings of every stream on the node.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Streams")]
pub struct StreamArgs {
    /// Cache of the last GOPs, so that playback starts at once
    #[arg(long, env, default_value_t = true, action = ArgAction::Set)]
    pub enable_gop_cache: bool,

    /// Maximum GOPs cached per stream; those older than JOIN_WINDOW_MS are dropped
    #[arg(long, env, default_value_t = 2, value_parser = value_parser!(u16).range(1..=1000))]
    pub max_gops: u16,

    /// Maximum size of a stream's GOP cache, in MiB
    #[arg(long, env, default_value_t = 100, value_parser = value_parser!(u32).range(1..=65536))]
    pub max_gop_cache_size_mb: u32,

    /// Maximum distance behind live at which a viewer starts with more than the newest GOP, in milliseconds
    #[arg(long, env, default_value_t = 1000, value_parser = value_parser!(u32).range(0..=60_000))]
    pub join_window_ms: u32,

    /// Time that video waits for a keyframe, in seconds; after it viewers start without one, and a warning is logged
    #[arg(long, env, default_value_t = 15, value_parser = value_parser!(u32).range(1..=3600))]
    pub keyframe_wait_s: u32,

    /// Times at which media is sent: "frame" with every video frame, 0 with every tag (lowest delay, most CPU), a number at most
    /// once in so many milliseconds (least CPU)
    #[arg(long, env, default_value = "frame", value_parser = parse_flush)]
    pub flush_interval: Flush,

    /// Time that viewers are kept after their publisher disconnects, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(0..=3600))]
    pub publisher_grace_s: u32,

    /// Time without data after which a publisher is disconnected and its room is free again, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600))]
    pub publisher_timeout_s: u32,
}

impl StreamArgs {
    /// Limits of a stream's GOP cache; with the cache off it holds none.
    pub fn gop_limits(&self) -> GopLimits {
        GopLimits {
            gops_max: if self.enable_gop_cache { self.max_gops.into() } else { 0 },
            size_max_bytes: self.max_gop_cache_size_mb as usize * MIB,
            window_ms: self.join_window_ms.into(),
        }
    }

    /// Limits on the start of video for a viewer.
    pub fn entry_limits(&self) -> EntryLimits {
        EntryLimits {
            keyframe_wait_ms: i64::from(self.keyframe_wait_s) * 1000,
            keeps_gops: self.enable_gop_cache,
        }
    }

    /// Time that viewers are kept without a publisher.
    pub fn grace(&self) -> Duration {
        seconds(self.publisher_grace_s)
    }
}

fn parse_flush(text: &str) -> Result<Flush, String> {
    match text.parse::<u64>() {
        _ if matches!(text, "frame" | "picture") => Ok(Flush::EveryFrame),
        Ok(0) => Ok(Flush::EveryTag),
        Ok(ms @ 1..=5000) => Ok(Flush::Every(Duration::from_millis(ms))),
        _ => Err("it is neither \"frame\" nor 0 to 5000 milliseconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parse;

    #[test]
    fn the_gop_cache_can_be_turned_off() {
        let config = parse(&["--enable-gop-cache", "false"]).unwrap();
        assert_eq!(config.streams.gop_limits().gops_max, 0);
    }

    #[test]
    fn media_is_flushed_as_set() {
        let flush = |value| parse(&["--flush-interval", value]).unwrap().streams.flush_interval;
        assert_eq!(flush("0"), Flush::EveryTag);
        assert_eq!(flush("frame"), Flush::EveryFrame);
        assert_eq!(flush("picture"), Flush::EveryFrame, "the name before");
        assert_eq!(flush("100"), Flush::Every(Duration::from_millis(100)));
    }
}
