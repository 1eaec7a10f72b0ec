//! The container defines a segment's bytes; the segmenter only decides when one begins and ends.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::audio_clock::FrameSpan;
use crate::{
    codec::{
        adts::AdtsError,
        frame_size::FrameSize,
        nal::{AccessUnitError, NalConfigError},
    },
    flv::{
        audio::AudioCodec,
        video::{VideoCodec, VideoHeader},
    },
    upgrade::{BlobId, Blobs, StateError},
};

/// The track that decides where segments are cut, and whose frames carry the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lead {
    /// Cut at keyframes.
    Video,
    /// There is no video: cut by time.
    Audio,
}

/// A frame that was read, and when it is decoded.
#[derive(Debug)]
pub struct Timed<F> {
    /// The decoding time, in milliseconds.
    pub time_ms: i64,
    /// The frame.
    pub frame: F,
}

/// A codec of either track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// One of video.
    Video(VideoCodec),
    /// One of audio.
    Audio(AudioCodec),
}

/// The reason a container does not take a sequence header or a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ContainerError {
    /// The container cannot carry this codec at all.
    #[error("the container cannot carry {0}")]
    UnsupportedCodec(Codec),
    /// The codec's sequence header has not come yet, or could not be read.
    #[error("a frame without a sequence header")]
    NoHeader,
    /// A video sequence header, or parameter sets in band, that cannot be used.
    #[error(transparent)]
    VideoHeader(#[from] NalConfigError),
    /// An access unit that cannot be read.
    #[error(transparent)]
    AccessUnit(#[from] AccessUnitError),
    /// An AAC configuration or frame that cannot be parsed.
    #[error(transparent)]
    Aac(#[from] AdtsError),
    /// An audio frame that is larger than any real one, in bytes.
    #[error("an audio frame of {0} bytes")]
    AudioFrameSize(usize),
    /// A sequence header that cannot be used.
    #[error("a sequence header of {0} that cannot be used")]
    SequenceHeader(Codec),
    /// A sequence header that is larger than any real one, in bytes.
    #[error("a sequence header of {0} bytes")]
    SequenceHeaderSize(usize),
    /// An audio frame whose header cannot be read.
    #[error("a frame of {0} that cannot be read")]
    AudioFrame(AudioCodec),
}

/// A codec that cannot be in segments, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
pub struct Unsupported {
    /// The codec.
    pub codec: Codec,
    /// The reason its sequence header was refused.
    pub reason: ContainerError,
}

/// The form in which players get a container's segments.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SegmentFormat {
    /// The extension of files and addresses.
    pub extension: &'static str,
    /// The media type, for `Content-Type`.
    pub content_type: &'static str,
    /// The extension of initialisation sections, if segments need one.
    pub init_extension: Option<&'static str>,
    /// The lowest EXT-X-VERSION of playlists that list such segments (RFC 8216, section 7).
    pub playlist_version: u8,
}

/// The initialisation section of segments (RFC 8216, section 3.3), and what a multivariant playlist says of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSection {
    /// The container's bytes.
    pub bytes: Bytes,
    /// The codecs' names (RFC 6381), with commas between them.
    pub codecs: String,
    /// The size of video, if it is known.
    pub frame_size: Option<FrameSize>,
    /// Frames of video in a thousand seconds, if that is known.
    pub frame_rate_milli: Option<u32>,
}

/// An initialisation section as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub struct InitSectionState {
    bytes: BlobId,
    codecs: String,
    frame_size: Option<FrameSize>,
    frame_rate_milli: Option<u32>,
}

impl InitSection {
    /// The section as plain data.
    pub fn state(&self, blobs: &mut Blobs) -> InitSectionState {
        InitSectionState {
            bytes: blobs.put(&self.bytes),
            codecs: self.codecs.clone(),
            frame_size: self.frame_size,
            frame_rate_milli: self.frame_rate_milli,
        }
    }

    /// The section that gave the state.
    pub fn restore(state: InitSectionState, blobs: &Blobs) -> Result<Self, StateError> {
        let InitSectionState { bytes, codecs, frame_size, frame_rate_milli } = state;
        Ok(Self { bytes: blobs.get(bytes)?, codecs, frame_size, frame_rate_milli })
    }
}

/// Frames that are written at once: a segment, or a part of one.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a, F> {
    /// The segment's leading track.
    pub lead: Lead,
    /// The frames in their order.
    pub frames: &'a [Timed<F>],
    /// They are the first of their segment.
    pub begins_segment: bool,
    /// The decoding time of the frame of video behind them, if it is known.
    pub next_video_ms: Option<i64>,
    /// Up to when the last frame of video is shown if none is known behind it: a container that has durations needs one.
    pub hold_video_ms: Option<i64>,
    /// Audio may come later in the segment if there is none among them.
    pub expects_audio: bool,
}

/// The findings while frames were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// The segment's tracks are not those of the segment before it.
    pub has_other_tracks: bool,
    /// Frames that do not fit the tracks that the segment began with.
    pub left_out: u64,
}

/// Turns the frames of FLV tags into the bytes of segments.
///
/// A frame is read when it comes, so that one that is refused cannot have ended a segment, and written with all the
/// others of its segment. The reading keeps all that writing needs: a sequence header counts for the frames that are
/// read after it, whenever they are written. A container and its frames go to the thread of their stream.
pub trait Container: fmt::Debug + Default + Send + Unpin + 'static {
    /// A frame that was read. It shares the memory of the tag that it came in.
    type Frame: fmt::Debug + Clone + Send + Unpin + 'static;

    /// The container and frames of it, for the process that goes on after an upgrade.
    type State: fmt::Debug + Serialize + DeserializeOwned + Send + 'static;

    /// The form of its segments.
    const FORMAT: &'static SegmentFormat;

    /// Maximum distance of a frame behind those before it in a segment, in milliseconds.
    const LATE_MAX_MS: i64;

    /// The most that a fragment takes beside its frames, in bytes.
    const FRAGMENT_OVERHEAD_BYTES: usize;

    /// Segments may be written in parts.
    const HAS_PARTS: bool;

    /// Takes a video sequence header, without the tag's own header. After an error there is none.
    fn set_video(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), ContainerError>;

    /// Takes an audio sequence header; an empty one for codecs that have none. Returns whether frames behind it need
    /// another segment than those before. After an error there is none.
    fn set_audio(&mut self, codec: AudioCodec, header: &[u8]) -> Result<bool, ContainerError>;

    /// Reads a frame of video; `data` is what follows `header` in the tag. `None` if it has nothing to show.
    fn video(&mut self, header: &VideoHeader, data: Bytes) -> Result<Option<Self::Frame>, ContainerError>;

    /// Reads a frame of audio, without the tag's own header. `None` if it has nothing to play.
    fn audio(&mut self, codec: AudioCodec, data: Bytes) -> Result<Option<Self::Frame>, ContainerError>;

    /// The video of a GOP once more, all of it at `time_ms` as nearly as the format can say: it ends with the frame that
    /// is shown while video has paused. Empty if a decoder could not begin anew at the first of it.
    fn repeat_gop(gop: &[Timed<Self::Frame>], time_ms: i64) -> Vec<Timed<Self::Frame>>;

    /// A frame of silence in the audio track's form, and how long it plays; `None` if there is no such form.
    fn silence(&self) -> Option<(Self::Frame, FrameSpan)>;

    /// Returns whether a frame is the first of another sequence although no sequence header came: its description is in
    /// band.
    fn begins_sequence(frame: &Self::Frame) -> bool;

    /// Returns whether decoding can begin at a frame of video; `None` for one of audio.
    fn is_keyframe(frame: &Self::Frame) -> Option<bool>;

    /// The most that a frame takes in a segment, in bytes.
    fn size_max_bytes(frame: &Self::Frame) -> usize;

    /// Appends frames to `out`. Those of one segment follow each other in as many fragments as they are given in.
    fn write(&mut self, out: &mut Vec<u8>, fragment: &Fragment<'_, Self::Frame>) -> WriteReport;

    /// The initialisation section of the segment that is being written, if the container has any.
    fn init(&self) -> Option<Arc<InitSection>>;

    /// The next segment does not continue the last one.
    fn discontinuity(&mut self);

    /// The container as plain data, with frames that it has read and that may still be written.
    fn state(&self, frames: &[&Self::Frame], blobs: &mut Blobs) -> Self::State;

    /// The container that gave the state, and the frames in their order. It writes them with the same bytes.
    fn restore(state: Self::State, blobs: &Blobs) -> Result<(Self, Vec<Self::Frame>), StateError>;
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            ContainerError::UnsupportedCodec(codec) => write!(f, "HLS segments cannot carry {codec}"),
            reason => write!(f, "HLS segments cannot carry this {}: {reason}", self.codec),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codec::Video(codec) => codec.fmt(f),
            Codec::Audio(codec) => codec.fmt(f),
        }
    }
}
