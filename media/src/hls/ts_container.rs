//! MPEG-TS as the container of segments: H.264 and H.265 in Annex B, AAC in ADTS, MP3 as it is.

use super::{
    adts::{AAC_FRAME_SAMPLES, AdtsConfig},
    annex_b::put_access_unit,
    audio_pack::{AudioPack, FrameSpan},
    avc::parse_avcc,
    container::{Codec, Container, ContainerError, Lead},
    hevc::parse_hvcc,
    nal::{NalConfig, NalSyntax},
    psi::{AudioStream, VideoStream},
    ts::TsWriter,
};
use crate::{
    audio::AudioCodec,
    video::{VideoCodec, VideoHeader, VideoKind},
};

/// The largest audio frame, in bytes; those of MP3 and AAC are a fraction of it.
pub const AUDIO_FRAME_MAX_BYTES: usize = 16 * 1024;

/// What a rare large picture needed is not kept for the small ones, of which every stream has one at a time.
const KEPT_SCRATCH_MAX_BYTES: usize = 64 * 1024;

/// A [`Container`] of MPEG-TS.
#[derive(Debug, Default)]
pub struct TsContainer {
    writer: TsWriter,
    video: Option<NalConfig>,
    audio: Option<AudioConfig>,
    staged: Staged,
    /// The staged frame's bytes.
    scratch: Vec<u8>,
    pack: AudioPack,
}

#[derive(Debug, Clone, Copy)]
enum AudioConfig {
    Aac(AdtsConfig),
    Mp3,
}

#[derive(Debug, Default)]
enum Staged {
    #[default]
    Nothing,
    Video {
        stream: VideoStream,
        dts_ms: i64,
        pts_ms: i64,
        keyframe: bool,
    },
    Audio {
        stream: AudioStream,
        time_ms: i64,
        span: Option<FrameSpan>,
    },
}

impl Container for TsContainer {
    fn set_video(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), ContainerError> {
        self.video = None;
        self.video = Some(match video_syntax(codec)? {
            NalSyntax::H264 => parse_avcc(header)?,
            NalSyntax::H265 => parse_hvcc(header)?,
        });
        Ok(())
    }

    fn set_audio(&mut self, codec: AudioCodec, header: &[u8]) -> Result<(), ContainerError> {
        self.audio = None;
        self.audio = Some(match audio_stream(codec)? {
            AudioStream::Aac => AudioConfig::Aac(AdtsConfig::parse(header)?),
            AudioStream::Mp3 => AudioConfig::Mp3,
        });
        Ok(())
    }

    fn stage_video(&mut self, header: &VideoHeader, dts_ms: i64, data: &[u8]) -> Result<(), ContainerError> {
        self.unstage();
        let syntax = video_syntax(header.codec)?;
        let config = self.video.as_ref().filter(|config| config.syntax == syntax);
        let config = config.ok_or(ContainerError::NoHeader)?;
        let keyframe = header.kind == VideoKind::Keyframe;
        put_access_unit(&mut self.scratch, config, data, keyframe)?;
        let stream = match syntax {
            NalSyntax::H264 => VideoStream::H264,
            NalSyntax::H265 => VideoStream::H265,
        };
        let pts_ms = dts_ms.saturating_add(i64::from(header.composition_time_ms));
        self.staged = Staged::Video { stream, dts_ms, pts_ms, keyframe };
        Ok(())
    }

    fn stage_audio(&mut self, codec: AudioCodec, time_ms: i64, data: &[u8]) -> Result<(), ContainerError> {
        self.unstage();
        let stream = audio_stream(codec)?;
        if data.len() > AUDIO_FRAME_MAX_BYTES {
            return Err(ContainerError::AudioFrameSize(data.len()));
        }
        let span = match (stream, self.audio) {
            (AudioStream::Aac, Some(AudioConfig::Aac(config))) => {
                self.scratch.extend_from_slice(&config.header(data.len())?);
                Some(FrameSpan { samples: AAC_FRAME_SAMPLES, rate_hz: config.sample_rate_hz() })
            }
            (AudioStream::Mp3, Some(AudioConfig::Mp3)) => None,
            _ => return Err(ContainerError::NoHeader),
        };
        self.scratch.extend_from_slice(data);
        self.staged = Staged::Audio { stream, time_ms, span };
        Ok(())
    }

    fn begin_segment(&mut self, out: &mut Vec<u8>, lead: Lead) {
        self.writer.begin_segment(out, lead);
    }

    fn write_staged(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.staged) {
            Staged::Nothing => {}
            Staged::Video { stream, dts_ms, pts_ms, keyframe } => {
                if self.pack.is_old(dts_ms) {
                    self.flush_pack(out);
                }
                self.writer.video(out, stream, dts_ms, pts_ms, keyframe, &self.scratch);
            }
            Staged::Audio { stream, time_ms, span } => {
                if !self.pack.has_room(stream, time_ms, self.scratch.len(), span) {
                    self.flush_pack(out);
                }
                self.pack.push(stream, time_ms, &self.scratch);
            }
        }
    }

    fn end_segment(&mut self, out: &mut Vec<u8>) -> bool {
        self.flush_pack(out);
        self.writer.end_segment(out)
    }

    fn discontinuity(&mut self) {
        self.writer.discontinuity();
    }
}

impl TsContainer {
    fn unstage(&mut self) {
        self.staged = Staged::Nothing;
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH_MAX_BYTES);
    }

    fn flush_pack(&mut self, out: &mut Vec<u8>) {
        self.pack.take(|stream, first_ms, frames| self.writer.audio(out, stream, first_ms, frames));
    }
}

fn video_syntax(codec: VideoCodec) -> Result<NalSyntax, ContainerError> {
    match codec {
        VideoCodec::H264 => Ok(NalSyntax::H264),
        VideoCodec::H265 => Ok(NalSyntax::H265),
        other => Err(ContainerError::UnsupportedCodec(Codec::Video(other))),
    }
}

fn audio_stream(codec: AudioCodec) -> Result<AudioStream, ContainerError> {
    match codec {
        AudioCodec::Aac => Ok(AudioStream::Aac),
        AudioCodec::Mp3 => Ok(AudioStream::Mp3),
        other => Err(ContainerError::UnsupportedCodec(Codec::Audio(other))),
    }
}
