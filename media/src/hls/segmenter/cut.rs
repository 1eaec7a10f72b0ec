//! The decision whether a frame begins another segment.

use super::config::SegmenterConfig;
use crate::hls::container::Lead;

/// Timestamps in milliseconds are rounded, so that a GOP of 2 s may be 1,999 ms long.
const CUT_TOLERANCE_MS: i64 = 50;

/// The reason a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// At the regular place.
    Regular,
    /// By its age or size, with no keyframe to follow.
    Forced,
}

/// The open segment as the next frame comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenAt {
    pub(super) lead: Lead,
    pub(super) age_ms: i64,
    /// It is the first one of its stream.
    pub(super) is_first: bool,
    /// It began without a keyframe of its own, so that the next keyframe begins another segment.
    pub(super) is_stopgap: bool,
    /// It holds as many bytes as a segment may.
    pub(super) is_full: bool,
    /// Frames of video wait for the next segment, as their sequence header is newer than this one.
    pub(super) has_new_video: bool,
    /// The same for audio.
    pub(super) has_new_audio: bool,
    /// Video has paused.
    pub(super) video_has_paused: bool,
}

impl OpenAt {
    /// The cut in front of a frame of video, if there is to be one.
    pub(super) fn before_video(self, config: &SegmenterConfig, keyframe: bool) -> Option<Cut> {
        let Self { age_ms, is_stopgap, .. } = self;
        let target_ms = if self.is_first { config.first_target_ms } else { config.target_ms };
        let is_due = age_ms >= i64::from(target_ms) - CUT_TOLERANCE_MS;
        let has_new_header = self.has_new_video || self.has_new_audio;
        if keyframe && (has_new_header || (is_stopgap && age_ms > 0) || is_due) {
            return Some(Cut::Regular);
        }
        if is_stopgap && age_ms >= i64::from(config.target_ms) {
            return Some(Cut::Regular);
        }
        (age_ms >= i64::from(config.gop_max_ms) || self.is_full).then_some(Cut::Forced)
    }

    /// The cut in front of a frame of audio, if there is to be one.
    pub(super) fn before_audio(self, config: &SegmenterConfig) -> Option<Cut> {
        let awaits_keyframe = self.lead == Lead::Video && !self.is_stopgap && !self.video_has_paused;
        let is_due =
            self.age_ms >= i64::from(config.target_ms) || (self.lead == Lead::Audio && self.has_new_audio);
        if is_due && !awaits_keyframe {
            return Some(Cut::Regular);
        }
        self.is_full.then_some(Cut::Forced)
    }
}
