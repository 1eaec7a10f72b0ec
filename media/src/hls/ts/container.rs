//! MPEG-TS as the container of segments: H.264 and H.265 in Annex B, AAC in ADTS, MP3 as it is.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    audio_config::AudioConfig,
    audio_pack::{AudioPack, PackStart},
    psi::{AudioStream, VideoStream},
    state::TsState,
    writer::{
        LEAD_MS, TABLES_BYTES, TICKS_A_MS, TICKS_A_SECOND, Ticks, TsWriter, audio_max_bytes, video_max_bytes,
    },
};
use crate::{
    codec::{
        adts::{AAC_FRAME_SAMPLES, ADTS_HEADER_BYTES, AdtsConfig},
        annex_b::AccessUnit,
        avc::parse_avcc,
        hevc::parse_hvcc,
        nal::{ActiveConfig, NalSyntax},
    },
    flv::{
        audio::AudioCodec,
        video::{VideoCodec, VideoHeader, VideoKind},
    },
    hls::{
        audio_clock::{AudioClock, FrameSpan},
        container::{
            Codec, Container, ContainerError, Fragment, InitSection, SegmentFormat, Timed, WriteReport,
        },
        mp3::{self, Mp3Header},
        repeated_gop::repeated_times,
    },
    upgrade::{Blobs, StateError},
};

mod upgrade;

/// The largest audio frame, in bytes; those of MP3 and AAC are a fraction of it.
pub const AUDIO_FRAME_MAX_BYTES: usize = 16 * 1024;

/// Between frames that are repeated, in ticks: a thirtieth of a millisecond.
const REPEAT_STEP_TICKS: i64 = TICKS_A_MS / 30;

/// A [`Container`] of MPEG-TS.
#[derive(Debug, Default)]
pub struct TsContainer {
    writer: TsWriter,
    clock: AudioClock,
    video: Option<ActiveConfig>,
    audio: Option<AudioConfig>,
    silence: Option<Bytes>,
}

/// A frame that MPEG-TS can carry.
#[derive(Debug, Clone)]
pub enum TsFrame {
    /// A frame of video.
    Video(VideoFrame),
    /// A frame of audio.
    Audio(AudioFrame),
}

/// A video frame.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    unit: AccessUnit,
    begins_sequence: bool,
    /// Delay from the frame's time to its decoding, in ticks.
    delay_ticks: i64,
    /// Delay from its decoding to its presentation, in ticks.
    composition_ticks: i64,
}

/// A frame of audio.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    stream: AudioStream,
    span: Option<FrameSpan>,
    adts: Option<[u8; ADTS_HEADER_BYTES]>,
    data: Bytes,
}

/// The segment that is being written, and what is written late or in pieces.
struct Mux<'a> {
    writer: &'a mut TsWriter,
    clock: &'a mut AudioClock,
    out: &'a mut Vec<u8>,
    pack: AudioPack,
    annex_b: Vec<u8>,
}

impl Container for TsContainer {
    type Frame = TsFrame;

    type State = TsState;

    /// Version 3 is for durations with a fraction; MPEG-TS asks for none.
    const FORMAT: &'static SegmentFormat = &SegmentFormat {
        extension: "ts",
        content_type: "video/mp2t",
        init_extension: None,
        playlist_version: 3,
    };

    /// Nothing may come when the clock has reached its time.
    const LATE_MAX_MS: i64 = LEAD_MS;

    const FRAGMENT_OVERHEAD_BYTES: usize = TABLES_BYTES;

    const HAS_PARTS: bool = false;

    fn set_video(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), ContainerError> {
        self.video = None;
        self.video = Some(ActiveConfig::new(match video_syntax(codec)? {
            NalSyntax::H264 => parse_avcc(header)?,
            NalSyntax::H265 => parse_hvcc(header)?,
        }));
        Ok(())
    }

    fn set_audio(&mut self, codec: AudioCodec, header: &[u8]) -> Result<bool, ContainerError> {
        (self.audio, self.silence) = (None, None);
        let config = match codec {
            AudioCodec::Aac => AudioConfig::Aac(AdtsConfig::parse(header)?),
            AudioCodec::Mp3 => AudioConfig::Mp3(None),
            other => return Err(ContainerError::UnsupportedCodec(Codec::Audio(other))),
        };
        (self.audio, self.silence) = (Some(config), config.silence());
        Ok(true)
    }

    fn video(&mut self, header: &VideoHeader, data: Bytes) -> Result<Option<TsFrame>, ContainerError> {
        let syntax = video_syntax(header.codec)?;
        let active = self.video.as_mut().filter(|active| active.config().syntax == syntax);
        let active = active.ok_or(ContainerError::NoHeader)?;
        active.update(&data)?;
        let is_keyframe = header.kind == VideoKind::Keyframe;
        let Some(unit) = AccessUnit::read(active.config(), data, is_keyframe)? else { return Ok(None) };
        let begins_sequence = is_keyframe && active.take_change();
        let composition_ticks = i64::from(header.composition_time_ms) * TICKS_A_MS;
        Ok(Some(TsFrame::Video(VideoFrame { unit, begins_sequence, delay_ticks: 0, composition_ticks })))
    }

    fn audio(&mut self, codec: AudioCodec, data: Bytes) -> Result<Option<TsFrame>, ContainerError> {
        if data.len() > AUDIO_FRAME_MAX_BYTES {
            return Err(ContainerError::AudioFrameSize(data.len()));
        }
        let audio = match (codec, &mut self.audio) {
            (AudioCodec::Aac, Some(AudioConfig::Aac(config))) => aac_frame(*config, data)?,
            (AudioCodec::Mp3, Some(config @ AudioConfig::Mp3(_))) => {
                let read = AudioConfig::Mp3(Mp3Header::parse(&data));
                if read != AudioConfig::Mp3(None) && *config != read {
                    (*config, self.silence) = (read, read.silence());
                }
                mp3_frame(data)
            }
            (AudioCodec::Aac | AudioCodec::Mp3, _) => return Err(ContainerError::NoHeader),
            (other, _) => return Err(ContainerError::UnsupportedCodec(Codec::Audio(other))),
        };
        // Some encoders send tags without data; to a player, an ADTS header alone is a frame that cannot be decoded.
        Ok((!audio.data.is_empty()).then_some(TsFrame::Audio(audio)))
    }

    fn repeat_gop(gop: &[Timed<TsFrame>], time_ms: i64) -> Vec<Timed<TsFrame>> {
        let frames: Vec<_> = gop.iter().filter_map(|timed| timed.frame.video(timed.time_ms)).collect();
        match frames.first() {
            Some((_, first)) if first.unit.refreshes() => repeated(&frames, time_ms),
            _ => Vec::new(),
        }
    }

    fn silence(&self) -> Option<(TsFrame, FrameSpan)> {
        let silence = self.silence.clone()?;
        let (audio, span) = match self.audio? {
            AudioConfig::Aac(config) => (aac_frame(config, silence).ok()?, aac_span(config)),
            AudioConfig::Mp3(header) => (mp3_frame(silence), header?.span()),
        };
        Some((TsFrame::Audio(audio), span))
    }

    fn begins_sequence(frame: &TsFrame) -> bool {
        matches!(frame, TsFrame::Video(VideoFrame { begins_sequence: true, .. }))
    }

    fn is_keyframe(frame: &TsFrame) -> Option<bool> {
        match frame {
            TsFrame::Video(video) => Some(video.unit.is_keyframe()),
            TsFrame::Audio(_) => None,
        }
    }

    fn size_max_bytes(frame: &TsFrame) -> usize {
        match frame {
            TsFrame::Video(video) => video_max_bytes(video.unit.size_max_bytes()),
            TsFrame::Audio(audio) => audio_max_bytes(ADTS_HEADER_BYTES + audio.data.len()),
        }
    }

    /// A segment of MPEG-TS is one fragment, with tables in front.
    fn write(&mut self, out: &mut Vec<u8>, fragment: &Fragment<'_, TsFrame>) -> WriteReport {
        self.writer.begin_segment(out, fragment.lead);
        let (pack, annex_b) = (AudioPack::default(), Vec::new());
        let mut mux = Mux { writer: &mut self.writer, clock: &mut self.clock, out, pack, annex_b };
        for Timed { time_ms, frame } in fragment.frames {
            match frame {
                TsFrame::Video(video) => mux.video(*time_ms, video),
                TsFrame::Audio(audio) => mux.audio(*time_ms, audio),
            }
        }
        mux.flush_pack();
        WriteReport { has_other_tracks: mux.writer.end_segment(mux.out), left_out: 0 }
    }

    fn init(&self) -> Option<Arc<InitSection>> {
        None
    }

    fn discontinuity(&mut self) {
        self.writer.discontinuity();
        self.clock.reset();
    }

    fn state(&self, frames: &[&TsFrame], blobs: &mut Blobs) -> TsState {
        self.plain(frames, blobs)
    }

    fn restore(state: TsState, blobs: &Blobs) -> Result<(Self, Vec<TsFrame>), StateError> {
        Self::restored(state, blobs)
    }
}

impl TsFrame {
    /// A frame of video, and when it is presented.
    fn video(&self, time_ms: i64) -> Option<(Ticks, &VideoFrame)> {
        match self {
            TsFrame::Video(video) => {
                let shift_ticks = video.delay_ticks.saturating_add(video.composition_ticks);
                Some((Ticks::from_ms(time_ms).plus(shift_ticks), video))
            }
            TsFrame::Audio(_) => None,
        }
    }
}

/// Frames so close to each other that only the last one is seen.
fn repeated(frames: &[(Ticks, &VideoFrame)], time_ms: i64) -> Vec<Timed<TsFrame>> {
    let presented: Vec<_> = frames.iter().map(|(presented, _)| *presented).collect();
    frames
        .iter()
        .zip(repeated_times(&presented))
        .map(|((_, frame), time)| VideoFrame {
            begins_sequence: false,
            delay_ticks: time.delay * REPEAT_STEP_TICKS,
            composition_ticks: time.composition * REPEAT_STEP_TICKS,
            unit: frame.unit.clone(),
        })
        .map(|frame| Timed { time_ms, frame: TsFrame::Video(frame) })
        .collect()
}

impl Mux<'_> {
    fn video(&mut self, dts_ms: i64, frame: &VideoFrame) {
        let VideoFrame { unit, delay_ticks, composition_ticks, .. } = frame;
        let dts = Ticks::from_ms(dts_ms).plus(*delay_ticks);
        let pts = dts.plus(*composition_ticks);
        if self.pack.is_old(dts_ms) {
            self.flush_pack();
        }
        let stream = match unit.config().syntax {
            NalSyntax::H264 => VideoStream::H264,
            NalSyntax::H265 => VideoStream::H265,
        };
        self.annex_b.clear();
        unit.put(&mut self.annex_b);
        self.writer.video(self.out, stream, dts, pts, unit.is_keyframe(), &self.annex_b);
    }

    fn audio(&mut self, time_ms: i64, audio: &AudioFrame) {
        let AudioFrame { stream, span, adts, data } = audio;
        let counted = span.map(|span| self.clock.place(time_ms, span));
        let next = PackStart { stream: *stream, time_ms, counted };
        let header = adts.as_ref().map_or(&[][..], |adts| &adts[..]);
        if !self.pack.has_room(next, header.len() + data.len(), *span) {
            self.flush_pack();
        }
        self.pack.push(next, header, data);
    }

    fn flush_pack(&mut self) {
        self.pack.take(|first, frames| self.writer.audio(self.out, first.stream, ticks(first), frames));
    }
}

fn ticks(PackStart { time_ms, counted, .. }: PackStart) -> Ticks {
    let Some(counted) = counted else { return Ticks::from_ms(time_ms) };
    let ticks = i64::try_from(counted.counted(TICKS_A_SECOND)).unwrap_or(i64::MAX);
    Ticks::from_ms(counted.from_ms).plus(ticks)
}

fn aac_frame(config: AdtsConfig, data: Bytes) -> Result<AudioFrame, ContainerError> {
    let adts = Some(config.header(data.len())?);
    Ok(AudioFrame { stream: AudioStream::Aac, span: Some(aac_span(config)), adts, data })
}

fn aac_span(config: AdtsConfig) -> FrameSpan {
    FrameSpan { samples: AAC_FRAME_SAMPLES, rate_hz: config.sample_rate_hz() }
}

fn mp3_frame(data: Bytes) -> AudioFrame {
    let stream = if mp3::is_low_rate(&data) { AudioStream::Mpeg2 } else { AudioStream::Mpeg1 };
    AudioFrame { stream, span: None, adts: None, data }
}

fn video_syntax(codec: VideoCodec) -> Result<NalSyntax, ContainerError> {
    match codec {
        VideoCodec::H264 => Ok(NalSyntax::H264),
        VideoCodec::H265 => Ok(NalSyntax::H265),
        other => Err(ContainerError::UnsupportedCodec(Codec::Video(other))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hls::container::Lead;

    const AVCC: &[u8] = b"\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3";

    fn container() -> TsContainer {
        let mut container = TsContainer::default();
        container.set_video(VideoCodec::H264, AVCC).unwrap();
        container.set_audio(AudioCodec::Aac, &[0x12, 0x10]).unwrap();
        container
    }

    fn video_frame(container: &mut TsContainer, time_ms: i64, size_bytes: usize) -> Timed<TsFrame> {
        let kind = if size_bytes.is_multiple_of(7) { VideoKind::Keyframe } else { VideoKind::Inter };
        let header = VideoHeader {
            codec: VideoCodec::H264,
            kind,
            composition_time_ms: time_ms as i32 % 3,
            data_offset: 0,
        };
        let data = [&(size_bytes as u32).to_be_bytes()[..], &vec![0x41; size_bytes]].concat();
        Timed { time_ms, frame: container.video(&header, data.into()).unwrap().unwrap() }
    }

    fn audio_frame(container: &mut TsContainer, time_ms: i64, size_bytes: usize) -> Timed<TsFrame> {
        let frame = container.audio(AudioCodec::Aac, vec![1; size_bytes].into()).unwrap().unwrap();
        Timed { time_ms, frame }
    }

    #[test]
    fn what_has_nothing_to_show_or_play_is_no_frame() {
        let mut container = container();
        assert!(container.audio(AudioCodec::Aac, Bytes::new()).unwrap().is_none());
        container.set_audio(AudioCodec::Mp3, &[]).unwrap();
        assert!(container.audio(AudioCodec::Mp3, Bytes::new()).unwrap().is_none());
        let header = VideoHeader {
            codec: VideoCodec::H264,
            kind: VideoKind::Keyframe,
            composition_time_ms: 0,
            data_offset: 0,
        };
        for data in [&b""[..], b"\0\0\0\0", b"\0\0\0\x02\x09\xF0", b"\0\0\0\x02\x09\xF0\0\0\0\x02\x06\x05"] {
            assert!(container.video(&header, Bytes::from_static(data)).unwrap().is_none(), "{data:?}");
        }
    }

    proptest! {
        /// Else the buffer would grow, which copies all that is in it.
        #[test]
        fn a_segment_is_no_larger_than_its_frames_say(
            sizes in proptest::collection::vec((any::<bool>(), 1..2_000_usize), 0..60),
            step_ms in 0..300_i64,
            lead in prop_oneof![Just(Lead::Video), Just(Lead::Audio)],
        ) {
            let mut container = container();
            let frame = |(at, (is_video, size_bytes)): (usize, (bool, usize))| match is_video {
                true => video_frame(&mut container, at as i64 * step_ms, size_bytes),
                false => audio_frame(&mut container, at as i64 * step_ms, size_bytes),
            };
            let frames: Vec<_> = sizes.into_iter().enumerate().map(frame).collect();
            let size_max_bytes = frames.iter().map(|timed| TsContainer::size_max_bytes(&timed.frame)).sum::<usize>();
            let mut out = Vec::new();
            let fragment =
                Fragment { lead, frames: &frames, begins_segment: true, next_video_ms: None, hold_video_ms: None, expects_audio: true };
            container.write(&mut out, &fragment);
            prop_assert!(out.len() <= TsContainer::FRAGMENT_OVERHEAD_BYTES + size_max_bytes);
        }
    }
}
