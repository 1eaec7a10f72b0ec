//! The tracks of a segment, and their initialisation section.

use std::sync::Arc;

use super::{audio::AudioConfig, frame::Fmp4Frame, init::init_section, video_track::VideoTrack};
use crate::hls::container::{Fragment, InitSection};

/// The tracks of the segment that is being written.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct SegmentTracks {
    pub(super) video: Option<Arc<VideoTrack>>,
    pub(super) audio: Option<Arc<AudioConfig>>,
}

impl SegmentTracks {
    pub(super) fn fits(&self, before: &Self) -> bool {
        let same_audio = match (&self.audio, &before.audio) {
            (Some(audio), Some(before)) => before.fits(audio),
            (audio, before) => audio.is_none() && before.is_none(),
        };
        same_audio && self.video == before.video
    }

    pub(super) fn init(&self, frame_rate_milli: Option<u32>) -> InitSection {
        let video = self.video.as_ref().map(|track| &track.config);
        let audio = self.audio.as_deref();
        let names = [video.map(|video| video.name.as_str()), audio.map(AudioConfig::name)];
        InitSection {
            bytes: init_section(video, audio).into(),
            codecs: names.into_iter().flatten().collect::<Vec<_>>().join(","),
            frame_size: video.and_then(|video| video.size),
            frame_rate_milli,
        }
    }
}

/// The frame rate of what a segment begins with, which may be a part: its frames of video, and the time from the first to the
/// last of them.
pub(super) fn frame_rate_milli(fragment: &Fragment<'_, Fmp4Frame>) -> Option<u32> {
    const RATE_MAX_MILLI: i64 = 300_000;
    let video = fragment.frames.iter().filter(|timed| matches!(timed.frame, Fmp4Frame::Video(_)));
    let (mut times, mut count) = (None, 0_i64);
    for timed in video {
        let (first_ms, _) = times.unwrap_or((timed.time_ms, timed.time_ms));
        times = Some((first_ms, timed.time_ms));
        count += 1;
    }
    let (first_ms, last_ms) = times?;
    let lasted_ms = last_ms.checked_sub(first_ms).filter(|lasted_ms| *lasted_ms > 0)?;
    let rate = (count - 1).saturating_mul(1_000_000) / lasted_ms;
    u32::try_from(rate).ok().filter(|_| (1..=RATE_MAX_MILLI).contains(&rate))
}
