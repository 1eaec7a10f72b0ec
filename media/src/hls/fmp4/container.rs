//! Fragmented MP4 as the container of segments and their parts.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    audio::AudioConfig,
    fragment::{FRAGMENT_BYTES, SAMPLE_BYTES, Sample, put_fragment},
    init::{VIDEO_TIMESCALE, init_section},
    video::VideoConfig,
};
use crate::{
    codec::{
        avc::parse_avcc,
        hevc::parse_hvcc,
        nal::{NalConfig, NalSyntax},
        slices::{NalUnits, Slices, syntax_of},
        vp9,
    },
    flv::{
        audio::AudioCodec,
        video::{VideoCodec, VideoHeader, VideoKind},
    },
    hls::{
        audio_clock::{AudioClock, AudioTime, FrameSpan},
        container::{
            Codec, Container, ContainerError, Fragment, InitSection, Lead, SegmentFormat, Timed, WriteReport,
        },
        repeated_gop::{RepeatedTime, repeated_times},
        ts::writer::LEAD_MS,
    },
};

/// Sequence headers beyond it are refused: they stay in memory as long as a segment that needs them.
const SEQUENCE_HEADER_MAX_BYTES: usize = 32 * 1024;

/// The largest audio frame, in bytes; one of FLAC may be longer than its samples.
const AUDIO_FRAME_MAX_BYTES: usize = 1024 * 1024;

const TICKS_A_MS: i64 = VIDEO_TIMESCALE as i64 / 1_000;

/// Between frames that are repeated, in ticks: a thirtieth of a millisecond.
const REPEAT_STEP_TICKS: i64 = TICKS_A_MS / 30;

/// Duration of a video frame when none is known, in ticks.
const FRAME_FALLBACK_TICKS: u32 = 40 * TICKS_A_MS as u32;

/// A [`Container`] of fragmented MP4.
#[derive(Debug, Default)]
pub struct Fmp4Container {
    video: Option<Arc<VideoTrack>>,
    audio: Option<Arc<AudioConfig>>,
    /// The codec of an audio track that frames describe.
    audio_codec: Option<AudioCodec>,
    clock: AudioClock,
    segment: SegmentTracks,
    init: Option<Arc<InitSection>>,
    /// Counts fragments, as `mfhd` has to.
    fragment: u32,
    /// The duration of the last video frame but one.
    frame_ticks: Option<u32>,
}

/// The tracks of the segment that is being written.
#[derive(Debug, Default, Clone, PartialEq)]
struct SegmentTracks {
    video: Option<Arc<VideoTrack>>,
    audio: Option<Arc<AudioConfig>>,
}

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
    track: Arc<VideoTrack>,
    data: Bytes,
    is_keyframe: bool,
    begins_sequence: bool,
    /// Delay from the frame's time to its decoding, in ticks.
    delay_ticks: i64,
    /// Delay from its decoding to its presentation, in ticks.
    composition_ticks: i64,
}

/// A frame of audio.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    track: Arc<AudioConfig>,
    data: Bytes,
    span: FrameSpan,
    begins_sequence: bool,
}

#[derive(Debug, PartialEq)]
struct VideoTrack {
    config: VideoConfig,
    nal: Option<(NalSyntax, usize)>,
}

/// Returns `true` if fragmented MP4 can carry a codec.
pub fn carries(codec: Codec) -> bool {
    match codec {
        Codec::Video(codec) => !matches!(codec, VideoCodec::Id(_) | VideoCodec::FourCc(_)),
        Codec::Audio(codec) => !matches!(codec, AudioCodec::Id(_) | AudioCodec::FourCc(_)),
    }
}

impl Container for Fmp4Container {
    type Frame = Fmp4Frame;

    /// Version 6 is for EXT-X-MAP in a playlist that lists more than keyframes.
    const FORMAT: &'static SegmentFormat = &SegmentFormat {
        extension: "m4s",
        content_type: "video/mp4",
        init_extension: Some("mp4"),
        playlist_version: 6,
    };

    /// Each track has its own times.
    const LATE_MAX_MS: i64 = i64::MAX;

    const FRAGMENT_OVERHEAD_BYTES: usize = FRAGMENT_BYTES;

    const HAS_PARTS: bool = true;

    fn set_video(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), ContainerError> {
        self.video = None;
        check_header_size(header)?;
        let config = VideoConfig::new(codec, header)?;
        self.video = Some(Arc::new(VideoTrack { nal: nal_of(codec, header), config }));
        Ok(())
    }

    fn set_audio(&mut self, codec: AudioCodec, header: &[u8]) -> Result<bool, ContainerError> {
        let before = self.audio.take();
        self.audio_codec = None;
        check_header_size(header)?;
        let config = AudioConfig::of_header(codec, header)?;
        self.audio_codec = Some(codec);
        let (audio, is_other) = match (config, before) {
            (Some(config), Some(before)) if before.fits(&config) => (Some(before), false),
            (Some(config), _) => (Some(Arc::new(config)), true),
            (None, before) => (before.filter(|before| before.codec == codec), true),
        };
        self.audio = audio;
        Ok(is_other)
    }

    fn video(&mut self, header: &VideoHeader, data: Bytes) -> Result<Option<Fmp4Frame>, ContainerError> {
        let track = self.video.clone().filter(|track| track.config.codec == header.codec);
        let track = track.ok_or(ContainerError::NoHeader)?;
        if data.is_empty() {
            return Ok(None);
        }
        let is_keyframe = header.kind == VideoKind::Keyframe;
        let (track, begins_sequence) = if is_keyframe && header.codec == VideoCodec::Vp9 {
            self.sized(track, &data)
        } else {
            (track, false)
        };
        let composition_ticks = i64::from(header.composition_time_ms) * TICKS_A_MS;
        let frame =
            VideoFrame { track, data, is_keyframe, begins_sequence, delay_ticks: 0, composition_ticks };
        Ok(Some(Fmp4Frame::Video(frame)))
    }

    fn audio(&mut self, codec: AudioCodec, data: Bytes) -> Result<Option<Fmp4Frame>, ContainerError> {
        if data.len() > AUDIO_FRAME_MAX_BYTES {
            return Err(ContainerError::AudioFrameSize(data.len()));
        }
        if self.audio_codec != Some(codec) {
            return Err(ContainerError::NoHeader);
        }
        // FFmpeg ends FLAC with an empty frame, and a sample without bytes makes players refuse the fragment.
        if data.is_empty() {
            return Ok(None);
        }
        let begins_sequence = self.describe(codec, &data);
        let track = self.audio.clone().ok_or(ContainerError::NoHeader)?;
        let span = track.span(&data).ok_or(ContainerError::AudioFrame(codec))?;
        Ok(Some(Fmp4Frame::Audio(AudioFrame { track, data, span, begins_sequence })))
    }

    fn repeat_gop(gop: &[Timed<Fmp4Frame>], time_ms: i64) -> Vec<Timed<Fmp4Frame>> {
        let frames: Vec<_> = gop.iter().filter_map(|timed| timed.frame.video(timed.time_ms)).collect();
        match frames.first() {
            Some((_, first)) if first.refreshes() => repeated(&frames, time_ms),
            _ => Vec::new(),
        }
    }

    fn silence(&self) -> Option<(Fmp4Frame, FrameSpan)> {
        let track = self.audio.clone()?;
        let data = Bytes::copy_from_slice(track.silence.as_ref()?);
        let span = track.span(&data)?;
        Some((Fmp4Frame::Audio(AudioFrame { track, data, span, begins_sequence: false }), span))
    }

    fn begins_sequence(frame: &Fmp4Frame) -> bool {
        match frame {
            Fmp4Frame::Video(frame) => frame.begins_sequence,
            Fmp4Frame::Audio(frame) => frame.begins_sequence,
        }
    }

    fn is_keyframe(frame: &Fmp4Frame) -> Option<bool> {
        match frame {
            Fmp4Frame::Video(frame) => Some(frame.is_keyframe),
            Fmp4Frame::Audio(_) => None,
        }
    }

    fn size_max_bytes(frame: &Fmp4Frame) -> usize {
        SAMPLE_BYTES + frame.data().len()
    }

    fn write(&mut self, out: &mut Vec<u8>, fragment: &Fragment<'_, Fmp4Frame>) -> WriteReport {
        let has_other_tracks = fragment.begins_segment && self.begin_segment(fragment);
        let video = self.video_samples(fragment);
        let audio = self.audio_samples(fragment);
        self.fragment = self.fragment.wrapping_add(1);
        put_fragment(out, self.fragment, &video, &audio);
        let left_out = fragment.frames.len().saturating_sub(video.len() + audio.len()) as u64;
        WriteReport { has_other_tracks, left_out }
    }

    fn init(&self) -> Option<Arc<InitSection>> {
        self.init.clone()
    }

    fn discontinuity(&mut self) {
        self.clock.reset();
        self.frame_ticks = None;
    }
}

impl Fmp4Container {
    /// VP9's sequence header does not name the size of frames, but keyframes do. Returns the track with it, and whether it is
    /// not the one so far.
    fn sized(&mut self, track: Arc<VideoTrack>, keyframe: &[u8]) -> (Arc<VideoTrack>, bool) {
        let known = track.config.size;
        let Some(size) = vp9::keyframe_size(keyframe).filter(|size| Some(*size) != known) else {
            return (track, false);
        };
        let track = Arc::new(VideoTrack { config: track.config.sized(size), nal: None });
        self.video = Some(track.clone());
        (track, known.is_some())
    }

    /// Takes what a frame says of its stream, for codecs without a sequence header. Returns whether that is something else than
    /// the frames before it said.
    fn describe(&mut self, codec: AudioCodec, frame: &[u8]) -> bool {
        let Some(config) = AudioConfig::of_frame(codec, frame) else { return false };
        match &self.audio {
            Some(known) if known.fits(&config) => false,
            known => {
                let is_other = known.is_some();
                self.audio = Some(Arc::new(config));
                is_other
            }
        }
    }

    /// Decides the segment's tracks, by the frames that it begins with. Returns whether they are not those of the one before.
    fn begin_segment(&mut self, fragment: &Fragment<'_, Fmp4Frame>) -> bool {
        let video = fragment.frames.iter().find_map(|timed| match &timed.frame {
            Fmp4Frame::Video(frame) => Some(frame.track.clone()),
            Fmp4Frame::Audio(_) => None,
        });
        let audio = fragment.frames.iter().find_map(|timed| match &timed.frame {
            Fmp4Frame::Audio(frame) => Some(frame.track.clone()),
            Fmp4Frame::Video(_) => None,
        });
        let expected = self.audio.clone().filter(|_| fragment.expects_audio && fragment.lead == Lead::Video);
        let tracks = SegmentTracks { video, audio: audio.or(expected) };
        if self.init.is_some() && tracks.fits(&self.segment) {
            return false;
        }
        let has_other_tracks = self.init.is_some();
        self.init = Some(Arc::new(tracks.init(frame_rate_milli(fragment))));
        self.segment = tracks;
        has_other_tracks
    }

    fn video_samples<'a>(&mut self, fragment: &Fragment<'a, Fmp4Frame>) -> Vec<Sample<'a>> {
        let Some(track) = &self.segment.video else { return Vec::new() };
        let frames = fragment.frames.iter().filter_map(|timed| match &timed.frame {
            Fmp4Frame::Video(frame) if frame.track.config == track.config => Some((timed.time_ms, frame)),
            _ => None,
        });
        let mut samples: Vec<Sample<'_>> = frames.map(|(time_ms, frame)| frame.sample(time_ms)).collect();
        let next = fragment.next_video_ms.map(|next_ms| decoding_ticks(next_ms, 0));
        for at in 0..samples.len() {
            let following = samples.get(at + 1).map(|sample| sample.decoded).or(next);
            let Some(sample) = samples.get_mut(at) else { break };
            let lasted = following.map(|following| following.saturating_sub(sample.decoded));
            let lasted = lasted.and_then(|ticks| u32::try_from(ticks).ok());
            self.frame_ticks = lasted.or(self.frame_ticks);
            sample.duration = lasted.or(self.frame_ticks).unwrap_or(FRAME_FALLBACK_TICKS);
        }
        samples
    }

    fn audio_samples<'a>(&mut self, fragment: &Fragment<'a, Fmp4Frame>) -> Vec<Sample<'a>> {
        let Some(track) = &self.segment.audio else { return Vec::new() };
        let frames = fragment.frames.iter().filter_map(|timed| match &timed.frame {
            Fmp4Frame::Audio(frame) if track.fits(&frame.track) => Some((timed.time_ms, frame)),
            _ => None,
        });
        let clock = &mut self.clock;
        let mut samples: Vec<Sample<'_>> = frames
            .map(|(time_ms, frame)| Sample {
                decoded: audio_ticks(clock.place(time_ms, frame.span)),
                duration: frame.span.samples,
                composition: 0,
                is_sync: true,
                data: &frame.data,
            })
            .collect();
        for at in 1..samples.len() {
            let Some(following) = samples.get(at).map(|sample| sample.decoded) else { break };
            let Some(sample) = samples.get_mut(at - 1) else { break };
            let lasted = u32::try_from(following.saturating_sub(sample.decoded)).ok();
            sample.duration = lasted.filter(|ticks| *ticks > 0).unwrap_or(sample.duration);
        }
        samples
    }
}

impl SegmentTracks {
    fn fits(&self, before: &Self) -> bool {
        let same_audio = match (&self.audio, &before.audio) {
            (Some(audio), Some(before)) => before.fits(audio),
            (audio, before) => audio.is_none() && before.is_none(),
        };
        same_audio && self.video == before.video
    }

    fn init(&self, frame_rate_milli: Option<u32>) -> InitSection {
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

impl Fmp4Frame {
    fn data(&self) -> &Bytes {
        match self {
            Fmp4Frame::Video(frame) => &frame.data,
            Fmp4Frame::Audio(frame) => &frame.data,
        }
    }

    /// A frame of video, and when it is presented, in ticks.
    fn video(&self, time_ms: i64) -> Option<(i64, &VideoFrame)> {
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
    /// Returns `true` if a decoder can begin here, in the middle of a stream.
    fn refreshes(&self) -> bool {
        let slices = |(syntax, length_bytes)| NalUnits::new(syntax, length_bytes, &self.data).slices();
        self.is_keyframe && self.track.nal.is_none_or(|nal| slices(nal) == Slices::RandomAccess)
    }

    fn sample(&self, time_ms: i64) -> Sample<'_> {
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
fn repeated(frames: &[(i64, &VideoFrame)], time_ms: i64) -> Vec<Timed<Fmp4Frame>> {
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

/// The frame rate of what a segment begins with, which may be a part: its frames of video, and the time from the first to the
/// last of them.
fn frame_rate_milli(fragment: &Fragment<'_, Fmp4Frame>) -> Option<u32> {
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

/// The clock of the stream's MPEG-TS, so that a player that changes between the two forms does not notice.
fn decoding_ticks(time_ms: i64, delay_ticks: i64) -> u64 {
    let ticks = time_ms.saturating_add(LEAD_MS).saturating_mul(TICKS_A_MS).saturating_add(delay_ticks);
    u64::try_from(ticks).unwrap_or_default()
}

fn audio_ticks(time: AudioTime) -> u64 {
    let from = i128::from(time.from_ms) + i128::from(LEAD_MS);
    let ticks = from * i128::from(time.rate_hz) / 1_000 + i128::from(time.samples);
    u64::try_from(ticks.max(0)).unwrap_or(u64::MAX)
}

fn check_header_size(header: &[u8]) -> Result<(), ContainerError> {
    match header.len() {
        size_bytes if size_bytes > SEQUENCE_HEADER_MAX_BYTES => {
            Err(ContainerError::SequenceHeaderSize(size_bytes))
        }
        _ => Ok(()),
    }
}

fn nal_of(codec: VideoCodec, record: &[u8]) -> Option<(NalSyntax, usize)> {
    let NalConfig { syntax, length_bytes, .. } = match syntax_of(codec)? {
        NalSyntax::H264 => parse_avcc(record).ok()?,
        NalSyntax::H265 => parse_hvcc(record).ok()?,
    };
    Some((syntax, length_bytes))
}
