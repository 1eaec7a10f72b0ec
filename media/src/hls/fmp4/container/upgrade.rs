//! Fragmented MP4, for the process that goes on with it after an upgrade.

use std::sync::Arc;

use super::Fmp4Container;
use crate::{
    hls::{
        container::InitSection,
        fmp4::{
            audio::AudioConfig,
            frame::{AudioFrame, Fmp4Frame, VideoFrame},
            state::{Fmp4State, FrameState},
            tracks::SegmentTracks,
            video_track::VideoTrack,
        },
        shared_values::{SharedValues, shared_at},
    },
    upgrade::{Blobs, StateError},
};

/// The tracks of a state that is written.
struct Tracks<'a> {
    video: SharedValues<'a, VideoTrack>,
    audio: SharedValues<'a, AudioConfig>,
}

impl Fmp4Container {
    /// The container and frames as plain data.
    pub(super) fn plain(&self, frames: &[&Fmp4Frame], blobs: &mut Blobs) -> Fmp4State {
        let Self { video, audio, audio_codec, clock, segment, init, fragment, frame_ticks } = self;
        let mut tracks = Tracks { video: SharedValues::new(), audio: SharedValues::new() };
        Fmp4State {
            video: video.as_ref().map(|track| tracks.video.put(track)),
            audio: audio.as_ref().map(|track| tracks.audio.put(track)),
            audio_codec: *audio_codec,
            clock: clock.clone(),
            segment_video: segment.video.as_ref().map(|track| tracks.video.put(track)),
            segment_audio: segment.audio.as_ref().map(|track| tracks.audio.put(track)),
            init: init.as_ref().map(|init| init.state(blobs)),
            fragment: *fragment,
            frame_ticks: *frame_ticks,
            frames: frames.iter().map(|frame| FrameState::of(frame, &mut tracks, blobs)).collect(),
            video_tracks: tracks.video.into_values().into_iter().map(|track| track.state(blobs)).collect(),
            audio_tracks: tracks.audio.into_values().into_iter().map(AudioConfig::state).collect(),
        }
    }

    /// The container that gave the state, and its frames.
    pub(super) fn restored(state: Fmp4State, blobs: &Blobs) -> Result<(Self, Vec<Fmp4Frame>), StateError> {
        let video =
            state.video_tracks.into_iter().map(|track| VideoTrack::restore(track, blobs).map(Arc::new));
        let video: Vec<_> = video.collect::<Result<_, _>>()?;
        let audio = state.audio_tracks.into_iter().map(|track| AudioConfig::restore(track).map(Arc::new));
        let audio: Vec<_> = audio.collect::<Result<_, _>>()?;
        let video_at = |place: Option<u32>| place.map(|place| shared_at(&video, place)).transpose();
        let audio_at = |place: Option<u32>| place.map(|place| shared_at(&audio, place)).transpose();
        let init = state.init.map(|init| InitSection::restore(init, blobs)).transpose()?;
        let container = Self {
            video: video_at(state.video)?,
            audio: audio_at(state.audio)?,
            audio_codec: state.audio_codec,
            clock: state.clock,
            segment: SegmentTracks {
                video: video_at(state.segment_video)?,
                audio: audio_at(state.segment_audio)?,
            },
            init: init.map(Arc::new),
            fragment: state.fragment,
            frame_ticks: state.frame_ticks,
        };
        let frames = state.frames.into_iter().map(|frame| frame.restore(&video, &audio, blobs));
        Ok((container, frames.collect::<Result<_, _>>()?))
    }
}

impl FrameState {
    fn of<'a>(frame: &'a Fmp4Frame, tracks: &mut Tracks<'a>, blobs: &mut Blobs) -> Self {
        match frame {
            Fmp4Frame::Video(frame) => Self::Video {
                track: tracks.video.put(&frame.track),
                data: blobs.put(&frame.data),
                is_keyframe: frame.is_keyframe,
                begins_sequence: frame.begins_sequence,
                delay_ticks: frame.delay_ticks,
                composition_ticks: frame.composition_ticks,
            },
            Fmp4Frame::Audio(frame) => Self::Audio {
                track: tracks.audio.put(&frame.track),
                data: blobs.put(&frame.data),
                span: frame.span,
                begins_sequence: frame.begins_sequence,
            },
        }
    }

    fn restore(
        self,
        video: &[Arc<VideoTrack>],
        audio: &[Arc<AudioConfig>],
        blobs: &Blobs,
    ) -> Result<Fmp4Frame, StateError> {
        Ok(match self {
            Self::Video { track, data, is_keyframe, begins_sequence, delay_ticks, composition_ticks } => {
                let (track, data) = (shared_at(video, track)?, blobs.get(data)?);
                Fmp4Frame::Video(VideoFrame {
                    track,
                    data,
                    is_keyframe,
                    begins_sequence,
                    delay_ticks,
                    composition_ticks,
                })
            }
            Self::Audio { track, data, span, begins_sequence } => {
                let (track, data) = (shared_at(audio, track)?, blobs.get(data)?);
                Fmp4Frame::Audio(AudioFrame { track, data, span, begins_sequence })
            }
        })
    }
}
