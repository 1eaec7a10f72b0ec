//! MPEG-TS, for the process that goes on with it after an upgrade.

use std::sync::Arc;

use super::{AudioFrame, TsContainer, TsFrame, VideoFrame};
use crate::{
    codec::{
        annex_b::AccessUnit,
        nal::{ActiveConfig, NalConfig},
    },
    hls::{
        shared_values::{SharedValues, shared_at},
        ts::{
            audio_config::AudioConfig,
            state::{FrameState, TsState},
        },
    },
    upgrade::{Blobs, StateError},
};

const PART: &str = "MPEG-TS";

impl TsContainer {
    /// The container and frames as plain data.
    pub(super) fn plain(&self, frames: &[&TsFrame], blobs: &mut Blobs) -> TsState {
        let Self { writer, clock, video, audio, silence: _ } = self;
        let mut configs = SharedValues::new();
        let video = video.as_ref().map(|active| (configs.put(active.config()), active.has_changed()));
        let frames = frames.iter().map(|frame| FrameState::of(frame, &mut configs, blobs)).collect();
        let configs = configs.into_values().into_iter().cloned().collect();
        TsState { writer: writer.clone(), clock: clock.clone(), video, audio: *audio, configs, frames }
    }

    /// The container that gave the state, and its frames.
    pub(super) fn restored(state: TsState, blobs: &Blobs) -> Result<(Self, Vec<TsFrame>), StateError> {
        let TsState { writer, clock, video, audio, configs, frames } = state;
        StateError::unless(writer.is_valid(), PART, "a counter has too many bits")?;
        StateError::unless(
            configs.iter().all(NalConfig::is_valid),
            PART,
            "a sequence header cannot be used",
        )?;
        let configs: Vec<_> = configs.into_iter().map(Arc::new).collect();
        let video = video.map(|(config, has_changed)| {
            shared_at(&configs, config).map(|config| ActiveConfig::restored(config, has_changed))
        });
        let container = Self {
            writer,
            clock,
            video: video.transpose()?,
            audio,
            silence: audio.and_then(AudioConfig::silence),
        };
        let frames = frames.into_iter().map(|frame| frame.restore(&configs, blobs));
        Ok((container, frames.collect::<Result<_, _>>()?))
    }
}

impl FrameState {
    fn of<'a>(frame: &'a TsFrame, configs: &mut SharedValues<'a, NalConfig>, blobs: &mut Blobs) -> Self {
        match frame {
            TsFrame::Video(VideoFrame { unit, begins_sequence, delay_ticks, composition_ticks }) => {
                Self::Video {
                    config: configs.put(unit.config()),
                    nals: blobs.put(unit.nals()),
                    is_keyframe: unit.is_keyframe(),
                    begins_sequence: *begins_sequence,
                    delay_ticks: *delay_ticks,
                    composition_ticks: *composition_ticks,
                }
            }
            TsFrame::Audio(AudioFrame { stream, span, adts, data }) => {
                Self::Audio { stream: *stream, span: *span, adts: *adts, data: blobs.put(data) }
            }
        }
    }

    /// An access unit is read anew, by the configuration that it was read with.
    fn restore(self, configs: &[Arc<NalConfig>], blobs: &Blobs) -> Result<TsFrame, StateError> {
        match self {
            Self::Video { config, nals, is_keyframe, begins_sequence, delay_ticks, composition_ticks } => {
                let unit = AccessUnit::read(&shared_at(configs, config)?, blobs.get(nals)?, is_keyframe);
                let unit = unit.ok().flatten();
                let unit =
                    unit.ok_or(StateError::Invalid { part: PART, reason: "a frame cannot be read" })?;
                Ok(TsFrame::Video(VideoFrame { unit, begins_sequence, delay_ticks, composition_ticks }))
            }
            Self::Audio { stream, span, adts, data } => {
                Ok(TsFrame::Audio(AudioFrame { stream, span, adts, data: blobs.get(data)? }))
            }
        }
    }
}
