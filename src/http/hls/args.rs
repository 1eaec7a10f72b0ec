//! Settings of HLS.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};
use log::warn;
use synctv_actors::{
    events::Flush,
    hls::{HlsMode, HlsSettings},
};
use synctv_media::hls::playlist::PartConfig;

use crate::config::units::MIB;

/// Time that an ended stream's playlist and segments stay: a viewer who is a little behind sees the end.
const KEEP_ENDED: Duration = Duration::from_secs(30);

/// Time without a request after which a stream is no longer segmented on demand: players ask every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Shorter parts save little, cost a request each, and make hls.js unsteady.
const PART_MS: u32 = 500;

/// With shorter parts hls.js stalls now and then: it looks for fragments with a tolerance of a quarter of a second.
const STEADY_PART_MS: u32 = 334;

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

    /// Streams that are segmented as fragmented MP4 too, for master.m3u8, low latency and codecs that MPEG-TS cannot carry:
    /// "always" all, "on-demand" those with a viewer of it, "off" none
    #[arg(long, env, value_enum, default_value_t = HlsWhen::OnDemand)]
    pub hls_fmp4: HlsWhen,

    /// Duration of the parts of Low-Latency HLS, in milliseconds: 200 to 2000, and at most half of HLS_TARGET_MS; 0 for none
    /// [default: 500, or half of HLS_TARGET_MS if that is less]
    #[arg(long, env, value_parser = parse_part_ms)]
    pub hls_part_ms: Option<u32>,

    /// Distance of low-latency players to the newest part, in milliseconds; at least two parts and 8 ms [default: three parts
    /// and 12 ms]
    #[arg(long, env, value_parser = value_parser!(u32).range(408..=60_000))]
    pub hls_part_hold_back_ms: Option<u32>,
}

fn parse_part_ms(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(part_ms @ (0 | 200..=2_000)) => Ok(part_ms),
        _ => Err("it is neither 0 nor a number of 200 to 2000".to_owned()),
    }
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
    /// Checks the settings against each other. The error names the one that does not fit.
    pub fn check(&self) -> Result<(), String> {
        let Some(parts) = self.parts() else { return Ok(()) };
        if parts.target_ms > self.hls_target_ms / 2 {
            return Err(format!(
                "HLS_PART_MS: {} is more than half of HLS_TARGET_MS, which is {}",
                parts.target_ms, self.hls_target_ms
            ));
        }
        let least_ms = 2 * parts.declared_ms();
        if parts.hold_back_ms < least_ms {
            return Err(format!(
                "HLS_PART_HOLD_BACK_MS: {} is less than two parts, which are {least_ms}",
                parts.hold_back_ms
            ));
        }
        Ok(())
    }

    /// The settings of all rooms, unless HLS is off. `in_cluster`: other nodes publish rooms as well.
    pub fn settings(&self, in_cluster: bool) -> Option<HlsSettings> {
        Some(HlsSettings {
            mode: self.hls.mode()?,
            fmp4: self.hls_fmp4.mode(),
            parts: self.parts(),
            target_ms: self.hls_target_ms,
            window: self.hls_window.into(),
            storage: self.hls_storage.clone(),
            memory_max_bytes: self.hls_memory_mb as usize * MIB,
            keep_ended: KEEP_ENDED,
            in_cluster,
            idle_timeout: IDLE_TIMEOUT,
        })
    }

    /// Logs settings that work, and make low latency worse than it could be.
    pub fn warn_of_parts(&self, flush: Flush) {
        self.doubts(flush).iter().for_each(|doubt| warn!("{doubt}"));
    }

    fn doubts(&self, flush: Flush) -> Vec<String> {
        let has_parts = self.hls.mode().is_some() && self.hls_fmp4.mode().is_some();
        let Some(PartConfig { target_ms, .. }) = self.parts().filter(|_| has_parts) else {
            return Vec::new();
        };
        let is_late =
            matches!(flush, Flush::Every(interval) if interval > Duration::from_millis(target_ms.into()));
        let late = "FLUSH_INTERVAL is longer than HLS_PART_MS: parts come no sooner than media is sent";
        let unsteady =
            format!("HLS_PART_MS is below {STEADY_PART_MS}: hls.js may stall with parts this short");
        [is_late.then(|| late.to_owned()), (target_ms < STEADY_PART_MS).then_some(unsteady)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn parts(&self) -> Option<PartConfig> {
        let part_ms = self.hls_part_ms.unwrap_or(PART_MS.min(self.hls_target_ms / 2));
        (part_ms > 0).then(|| PartConfig::new(part_ms, self.hls_part_hold_back_ms))
    }
}

impl HlsWhen {
    fn mode(self) -> Option<HlsMode> {
        match self {
            HlsWhen::Always => Some(HlsMode::Always),
            HlsWhen::OnDemand => Some(HlsMode::OnDemand),
            HlsWhen::Off => None,
        }
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
        let fmp4 = |args: &[&str]| parse(args).unwrap().hls.settings(false).and_then(|hls| hls.fmp4);
        assert_eq!(fmp4(&[]), Some(HlsMode::OnDemand));
        assert_eq!(fmp4(&["--hls-fmp4", "off"]), None);
    }

    #[test]
    fn parts_that_come_late_or_are_short_are_doubted() {
        let doubts = |args: &[&str]| {
            let config = parse(args).unwrap();
            let doubts = config.hls.doubts(config.streams.flush_interval);
            doubts.iter().map(|doubt| doubt.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(doubts(&[]).is_empty() && doubts(&["--flush-interval", "500"]).is_empty());
        assert_eq!(doubts(&["--flush-interval", "501"]), ["FLUSH_INTERVAL"]);
        assert_eq!(doubts(&["--hls-part-ms", "333"]), ["HLS_PART_MS"]);
        assert!(doubts(&["--hls-part-ms", "334"]).is_empty());
        for off in [["--hls", "off"], ["--hls-fmp4", "off"], ["--hls-part-ms", "0"]] {
            assert!(doubts(&[&off[..], &["--flush-interval", "2000"]].concat()).is_empty(), "{off:?}");
        }
    }

    #[test]
    fn parts_fit_their_segments_and_players_stay_behind_two_of_them() {
        let defaults = parse(&[]).unwrap().hls;
        let args = |part_ms, hold_back_ms, target_ms| HlsArgs {
            hls_part_ms: part_ms,
            hls_part_hold_back_ms: hold_back_ms,
            hls_target_ms: target_ms,
            ..defaults.clone()
        };
        assert_eq!(args(None, None, 2_000).parts(), Some(PartConfig { target_ms: 500, hold_back_ms: 1_512 }));
        assert_eq!(args(None, None, 500).parts(), Some(PartConfig { target_ms: 250, hold_back_ms: 762 }));
        assert_eq!((args(None, None, 500).check(), args(Some(0), None, 500).parts()), (Ok(()), None));
        let too_long = args(Some(1_000), None, 1_999).check().unwrap_err();
        assert_eq!(too_long, "HLS_PART_MS: 1000 is more than half of HLS_TARGET_MS, which is 1999");
        let too_near = args(None, Some(1_007), 2_000).check().unwrap_err();
        assert_eq!(too_near, "HLS_PART_HOLD_BACK_MS: 1007 is less than two parts, which are 1008");
        assert!(parse(&["--hls-part-ms", "199"]).is_err() && parse(&["--hls-part-ms", "2001"]).is_err());
    }
}
