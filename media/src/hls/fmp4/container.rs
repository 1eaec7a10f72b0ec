//! Fragmented MP4 as the container of segments and their parts.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    audio::AudioConfig,
    fragment::{FRAGMENT_BYTES, SAMPLE_BYTES, Sample, put_fragment},
    frame::{AudioFrame, Fmp4Frame, TICKS_A_MS, VideoFrame, audio_ticks, decoding_ticks, repeated},
    state::Fmp4State,
    tracks::{SegmentTracks, frame_rate_milli},
    video_track::VideoTrack,
};
use crate::{
    codec::vp9,
    flv::{
        audio::AudioCodec,
        video::{VideoCodec, VideoHeader, VideoKind},
    },
    hls::{
        audio_clock::{AudioClock, FrameSpan},
        container::{
            Codec, Container, ContainerError, Fragment, InitSection, Lead, SegmentFormat, Timed, WriteReport,
        },
    },
    upgrade::{Blobs, StateError},
};

mod upgrade;

/// Sequence headers beyond it are refused: they stay in memory as long as a segment that needs them.
const SEQUENCE_HEADER_MAX_BYTES: usize = 32 * 1024;

/// The largest audio frame, in bytes; one of FLAC may be longer than its samples.
const AUDIO_FRAME_MAX_BYTES: usize = 1024 * 1024;

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

/// Returns whether fragmented MP4 can carry a codec.
pub fn carries(codec: Codec) -> bool {
    match codec {
        Codec::Video(codec) => !matches!(codec, VideoCodec::Id(_) | VideoCodec::FourCc(_)),
        Codec::Audio(codec) => !matches!(codec, AudioCodec::Id(_) | AudioCodec::FourCc(_)),
    }
}

impl Container for Fmp4Container {
    type Frame = Fmp4Frame;

    type State = Fmp4State;

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
        self.video = Some(Arc::new(VideoTrack::new(codec, header)?));
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

    fn state(&self, frames: &[&Fmp4Frame], blobs: &mut Blobs) -> Fmp4State {
        self.plain(frames, blobs)
    }

    fn restore(state: Fmp4State, blobs: &Blobs) -> Result<(Self, Vec<Fmp4Frame>), StateError> {
        Self::restored(state, blobs)
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
        let track = Arc::new(track.sized(size));
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
        let last = samples.last().map(|sample| sample.decoded);
        let behind = |time_ms: i64| Some(decoding_ticks(time_ms, 0)).filter(|ticks| Some(*ticks) > last);
        let next = fragment.next_video_ms.and_then(behind);
        let held = fragment.hold_video_ms.and_then(behind);
        for at in 0..samples.len() {
            let following = samples.get(at + 1).map(|sample| sample.decoded).or(next);
            let Some(sample) = samples.get_mut(at) else { break };
            let up_to = |end: u64| u32::try_from(end.saturating_sub(sample.decoded)).ok();
            let lasted = following.and_then(up_to);
            // Frames that are repeated are closer together than a frame lasts.
            let usual = lasted.filter(|ticks| i64::from(*ticks) >= TICKS_A_MS);
            self.frame_ticks = usual.or(self.frame_ticks);
            let lasted = lasted.or(held.and_then(up_to)).or(self.frame_ticks);
            sample.duration = lasted.unwrap_or(FRAME_FALLBACK_TICKS);
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

fn check_header_size(header: &[u8]) -> Result<(), ContainerError> {
    match header.len() {
        size_bytes if size_bytes > SEQUENCE_HEADER_MAX_BYTES => {
            Err(ContainerError::SequenceHeaderSize(size_bytes))
        }
        _ => Ok(()),
    }
}
