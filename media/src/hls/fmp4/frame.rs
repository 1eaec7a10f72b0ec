//! A frame of either track, with the description that it needs.

use std::sync::Arc;

use bytes::Bytes;

use super::{audio::AudioConfig, fragment::Sample, init::VIDEO_TIMESCALE, video_track::VideoTrack};
use crate::{
    codec::slices::{NalUnits, Slices},
    hls::{
        audio_clock::{AudioTime, FrameSpan},
        container::Timed,
        repeated_gop::{RepeatedTime, repeated_times},
        ts::writer::LEAD_MS,
    },
};

/// Ticks of the video track in a millisecond.
pub(super) const TICKS_A_MS: i64 = VIDEO_TIMESCALE as i64 / 1_000;

/// Between frames that are repeated, in ticks: a thirtieth of a millisecond.
const REPEAT_STEP_TICKS: i64 = TICKS_A_MS / 30;

/// A frame that fragmented MP4 can carry. It keeps the description that it needs.
#[derive(Debug, Clone)]
pub enum Fmp4Frame {
    /// A frame of video.
    Video(VideoFrame),
    /// A frame of audio.
    Audio(AudioFrame),
}

/// A frame of video.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    pub(super) track: Arc<VideoTrack>,
    pub(super) data: Bytes,
    pub(super) is_keyframe: bool,
    pub(super) begins_sequence: bool,
    /// Delay from the frame's time to its decoding, in ticks.
    pub(super) delay_ticks: i64,
    /// Delay from its decoding to its presentation, in ticks.
    pub(super) composition_ticks: i64,
}

/// A frame of audio.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    pub(super) track: Arc<AudioConfig>,
    pub(super) data: Bytes,
    pub(super) span: FrameSpan,
    pub(super) begins_sequence: bool,
}

impl Fmp4Frame {
    pub(super) fn data(&self) -> &Bytes {
        match self {
            Fmp4Frame::Video(frame) => &frame.data,
            Fmp4Frame::Audio(frame) => &frame.data,
        }
    }

    /// A frame of video, and when it is presented, in ticks.
    pub(super) fn video(&self, time_ms: i64) -> Option<(i64, &VideoFrame)> {
        match self {
            Fmp4Frame::Video(frame) => {
                let shift_ticks = frame.delay_ticks.saturating_add(frame.composition_ticks);
                Some((time_ms.saturating_mul(TICKS_A_MS).saturating_add(shift_ticks), frame))
            }
            Fmp4Frame::Audio(_) => None,
        }
    }
}

impl VideoFrame {
    /// Returns whether a decoder can begin here, in the middle of a stream.
    pub(super) fn refreshes(&self) -> bool {
        let slices = |(syntax, length_bytes)| NalUnits::new(syntax, length_bytes, &self.data).slices();
        self.is_keyframe && self.track.nal.is_none_or(|nal| slices(nal) == Slices::RandomAccess)
    }

    pub(super) fn sample(&self, time_ms: i64) -> Sample<'_> {
        Sample {
            decoded: decoding_ticks(time_ms, self.delay_ticks),
            duration: 0,
            composition: i32::try_from(self.composition_ticks).unwrap_or_default(),
            is_sync: self.is_keyframe,
            data: &self.data,
        }
    }
}

/// Frames so close to each other that only the last one is seen.
pub(super) fn repeated(frames: &[(i64, &VideoFrame)], time_ms: i64) -> Vec<Timed<Fmp4Frame>> {
    let presented: Vec<_> = frames.iter().map(|(presented, _)| *presented).collect();
    let repeat = |((_, frame), time): (&(i64, &VideoFrame), RepeatedTime)| VideoFrame {
        begins_sequence: false,
        delay_ticks: time.delay * REPEAT_STEP_TICKS,
        composition_ticks: time.composition * REPEAT_STEP_TICKS,
        ..(*frame).clone()
    };
    let frames = frames.iter().zip(repeated_times(&presented)).map(repeat);
    frames.map(|frame| Timed { time_ms, frame: Fmp4Frame::Video(frame) }).collect()
}

/// The clock of the stream's MPEG-TS, so that a player that changes between the two forms does not notice.
pub(super) fn decoding_ticks(time_ms: i64, delay_ticks: i64) -> u64 {
    let ticks = time_ms.saturating_add(LEAD_MS).saturating_mul(TICKS_A_MS).saturating_add(delay_ticks);
    u64::try_from(ticks).unwrap_or_default()
}

pub(super) fn audio_ticks(time: AudioTime) -> u64 {
    let from = i128::from(time.from_ms) + i128::from(LEAD_MS);
    let ticks = from * i128::from(time.rate_hz) / 1_000 + i128::from(time.samples);
    u64::try_from(ticks.max(0)).unwrap_or(u64::MAX)
}
