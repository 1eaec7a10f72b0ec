//! The classification of frames, read once, before anything is decided about them.

use thiserror::Error;

use crate::{
    flv::{
        audio::{AudioError, AudioHeader, AudioKind},
        video::{VideoError, VideoHeader, VideoKind},
    },
    stream::{
        frame::{Frame, Track},
        header_key::HeaderKey,
        headers::HeaderError,
        metadata::{is_metadata, is_sample_access},
    },
};

/// The reason a frame was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Its video header cannot be read.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// Its audio header cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// It configures a decoder, and is not kept.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Nothing is behind its header.
    #[error("an audio or video tag without data")]
    Empty,
    /// It has no coded slice: a delimiter, supplemental information or parameter sets alone.
    #[error("a video tag without a coded slice")]
    NoSlice,
}

/// The part that a frame plays in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameClass {
    /// onMetaData.
    Metadata,
    /// The sequence header of the main video track.
    VideoHeader(VideoHeader),
    /// The sequence header of the main audio track.
    AudioHeader(AudioHeader),
    /// Another header that comes once.
    Extra(HeaderKey),
    /// Coded video of the main track.
    Video(VideoHeader),
    /// Coded audio of the main track.
    Audio(AudioHeader),
    /// Of further tracks, of a packet type that is not known, or the end of a sequence: passed on, with a time of its
    /// own.
    Beside,
    /// Script data other than onMetaData.
    Data,
    /// Meant for the server alone.
    Private,
}

impl FrameClass {
    /// Reads the front of a frame.
    #[inline]
    pub fn of(frame: &Frame) -> Result<Self, FrameError> {
        match frame.track {
            Track::Video => Self::of_video(frame),
            Track::Audio => Self::of_audio(frame),
            Track::Data if is_metadata(&frame.payload) => Ok(Self::Metadata),
            Track::Data if is_sample_access(&frame.payload) => Ok(Self::Private),
            Track::Data => Ok(Self::Data),
        }
    }

    /// Returns whether it configures a decoder, and so has no time of its own.
    pub fn is_header(self) -> bool {
        matches!(self, Self::Metadata | Self::VideoHeader(_) | Self::AudioHeader(_) | Self::Extra(_))
    }

    /// Returns whether, of two headers, the later one replaces the earlier.
    pub fn configures_the_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Extra(key), Self::Extra(other_key)) => key == other_key,
            _ => self.is_header() && std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }

    #[inline]
    fn of_video(frame: &Frame) -> Result<Self, FrameError> {
        let header = VideoHeader::parse(&frame.payload)?;
        match header.kind {
            VideoKind::SequenceHeader => Ok(Self::VideoHeader(header)),
            VideoKind::Keyframe | VideoKind::Inter if frame.payload.len() <= header.data_offset => {
                Err(FrameError::Empty)
            }
            VideoKind::Keyframe | VideoKind::Inter => Ok(Self::Video(header)),
            VideoKind::Other => Ok(Self::of_other(frame)),
        }
    }

    #[inline]
    fn of_audio(frame: &Frame) -> Result<Self, FrameError> {
        let header = AudioHeader::parse(&frame.payload)?;
        match header.kind {
            AudioKind::SequenceHeader => Ok(Self::AudioHeader(header)),
            AudioKind::Coded if frame.payload.len() <= header.data_offset => Err(FrameError::Empty),
            AudioKind::Coded => Ok(Self::Audio(header)),
            AudioKind::Other => Ok(Self::of_other(frame)),
        }
    }

    fn of_other(frame: &Frame) -> Self {
        HeaderKey::of(frame).map_or(Self::Beside, Self::Extra)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::samples;

    fn class(track: Track, payload: &'static [u8]) -> Result<FrameClass, FrameError> {
        FrameClass::of(&Frame { track, timestamp_ms: 0, payload: Bytes::from_static(payload) })
    }

    #[test]
    fn empty_frames_of_any_codec_are_none() {
        for payload in [&b"\xaf\x01"[..], b"\x2f", b"\x72", b"\x91Opus", b"\x97\x00\xAA\x01Opus"] {
            assert_eq!(class(Track::Audio, payload), Err(FrameError::Empty), "{payload:?}");
        }
        for payload in [&b"\x17\x01\0\0\0"[..], b"\x27\x01\0\0\0", b"\x12", b"\xA3hvc1", b"\x91av01"] {
            assert_eq!(class(Track::Video, payload), Err(FrameError::Empty), "{payload:?}");
        }
    }

    #[test]
    fn headers_are_distinguished_from_frames() {
        let is_header = |frame: Frame| FrameClass::of(&frame).map(FrameClass::is_header);
        for frame in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
            assert_eq!(is_header(frame), Ok(true));
        }
        for frame in [samples::keyframe(0), samples::inter(0), samples::audio(0)] {
            assert_eq!(is_header(frame), Ok(false));
        }
        assert!(matches!(class(Track::Video, b"\x94hvc1\x02"), Ok(FrameClass::Extra(_))));
    }

    #[test]
    fn what_is_not_known_is_passed_on_and_what_is_private_is_not() {
        for (track, payload) in [
            (Track::Video, &b"\x17\x02\0\0\0"[..]),
            (Track::Video, b"\x98av01"),
            (Track::Video, b"\x96\x01avc1\x01frame"),
            (Track::Audio, b"\x9FOpus"),
            (Track::Audio, b"\x95\x01mp4a\x01frame"),
        ] {
            assert_eq!(class(track, payload), Ok(FrameClass::Beside), "{payload:?}");
        }
        assert_eq!(class(Track::Data, b"\x02\0\x09onCuePoint"), Ok(FrameClass::Data));
        assert_eq!(class(Track::Data, b"\x02\0\x11|RtmpSampleAccess\x01\x01"), Ok(FrameClass::Private));
    }
}
