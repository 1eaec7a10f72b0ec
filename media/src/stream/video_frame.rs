//! Frames of video, judged by what they hold and not by their header's word alone.

use bytes::Bytes;

use crate::{
    codec::slices::{NalUnits, Slices, syntax_of},
    flv::video::{VideoHeader, VideoKind, with_keyframe_flag},
    stream::{frame_class::FrameError, headers::HEADER_MAX_BYTES, video_entry::FrameKind},
};

/// A frame of video as viewers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoContent {
    /// The tag's body. Its keyframe flag is true.
    pub payload: Bytes,
    /// Its use to a decoder that begins.
    pub kind: FrameKind,
}

/// Reads the frames of one publisher.
#[derive(Debug, Default)]
pub struct VideoFrames {
    /// Parameter sets that came in tags of their own, for the next frame.
    parameter_sets: Vec<u8>,
}

impl VideoFrames {
    /// Reads a frame whose header says that it has coded video. `None` if it holds what belongs to the next one.
    #[inline]
    pub fn read(
        &mut self,
        header: &VideoHeader,
        payload: Bytes,
        nal_length_bytes: usize,
        wants_recovery_points: bool,
    ) -> Result<Option<VideoContent>, FrameError> {
        let is_flagged = header.kind == VideoKind::Keyframe;
        let Some(syntax) = syntax_of(header.codec) else {
            return Ok(Some(VideoContent { payload, kind: by_flag(is_flagged) }));
        };
        let data = payload.get(header.data_offset..).unwrap_or_default();
        let units = NalUnits::new(syntax, nal_length_bytes, data);
        let kind = match units.slices() {
            Slices::RandomAccess if is_flagged || units.begin_frame() => FrameKind::Keyframe,
            Slices::Dependent if is_flagged && units.has_recovery_point() => FrameKind::Keyframe,
            Slices::Dependent if wants_recovery_points && units.has_recovery_point() => {
                FrameKind::RecoveryPoint
            }
            Slices::RandomAccess | Slices::Dependent => FrameKind::Inter,
            Slices::Unreadable => by_flag(is_flagged),
            Slices::None => return self.keep_parameter_sets(units).map(|()| None),
        };
        let is_keyframe = kind == FrameKind::Keyframe;
        let payload =
            if is_keyframe == is_flagged { payload } else { with_keyframe_flag(&payload, is_keyframe) };
        Ok(Some(VideoContent { payload: self.with_parameter_sets(header.data_offset, payload), kind }))
    }

    /// The parameter sets that wait for the next frame.
    pub fn parameter_sets(&self) -> &[u8] {
        &self.parameter_sets
    }

    /// Reads the frames behind these parameter sets; `None` if they are more than are kept.
    pub fn behind_parameter_sets(parameter_sets: Vec<u8>) -> Option<Self> {
        (parameter_sets.len() <= HEADER_MAX_BYTES).then_some(Self { parameter_sets })
    }

    fn keep_parameter_sets(&mut self, units: NalUnits<'_>) -> Result<(), FrameError> {
        let sets = units.parameter_sets();
        if sets.is_empty() || self.parameter_sets.len() + sets.len() > HEADER_MAX_BYTES {
            return Err(FrameError::NoSlice);
        }
        self.parameter_sets.extend_from_slice(&sets);
        Ok(())
    }

    fn with_parameter_sets(&mut self, data_offset: usize, payload: Bytes) -> Bytes {
        if self.parameter_sets.is_empty() {
            return payload;
        }
        let (header, data) = payload.split_at(data_offset.min(payload.len()));
        let joined = [header, &self.parameter_sets, data].concat();
        self.parameter_sets = Vec::new();
        joined.into()
    }
}

fn by_flag(is_keyframe: bool) -> FrameKind {
    if is_keyframe { FrameKind::Keyframe } else { FrameKind::Inter }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"\x17\x01\0\0\0";
    const INTER: &[u8] = b"\x27\x01\0\0\0";
    const AUD: &[u8] = b"\0\0\0\x02\x09\xf0";
    const SEI_RECOVERY: &[u8] = b"\0\0\0\x04\x06\x06\x01\x84";
    const SPS: &[u8] = b"\0\0\0\x02\x67\x64";
    const PPS: &[u8] = b"\0\0\0\x02\x68\xeb";
    const IDR: &[u8] = b"\0\0\0\x02\x65\x88";
    const SLICE: &[u8] = b"\0\0\0\x02\x41\x9a";

    fn read(
        frames: &mut VideoFrames,
        parts: &[&[u8]],
        wants: bool,
    ) -> Result<Option<VideoContent>, FrameError> {
        let payload = Bytes::from(parts.concat());
        frames.read(&VideoHeader::parse(&payload).unwrap(), payload, 4, wants)
    }

    fn content(parts: &[&[u8]]) -> Result<Option<VideoContent>, FrameError> {
        read(&mut VideoFrames::default(), parts, false)
    }

    fn is(kind: FrameKind, parts: &[&[u8]]) -> Result<Option<VideoContent>, FrameError> {
        Ok(Some(VideoContent { payload: parts.concat().into(), kind }))
    }

    #[test]
    fn frames_are_what_their_flag_says_if_their_slices_agree() {
        assert_eq!(content(&[KEY, AUD, SPS, PPS, IDR]), is(FrameKind::Keyframe, &[KEY, AUD, SPS, PPS, IDR]));
        assert_eq!(content(&[INTER, AUD, SLICE]), is(FrameKind::Inter, &[INTER, AUD, SLICE]));
        assert_eq!(content(&[KEY, b"annex b"]), is(FrameKind::Keyframe, &[KEY, b"annex b"]));
    }

    #[test]
    fn a_flag_that_is_wrong_is_put_right() {
        assert_eq!(content(&[KEY, SLICE]), is(FrameKind::Inter, &[INTER, SLICE]));
        assert_eq!(content(&[INTER, IDR]), is(FrameKind::Keyframe, &[KEY, IDR]));
        let second_slice = b"\0\0\0\x02\x65\x40";
        assert_eq!(content(&[INTER, second_slice]), is(FrameKind::Inter, &[INTER, second_slice]));
        assert_eq!(
            content(&[KEY, SEI_RECOVERY, SLICE]),
            is(FrameKind::Keyframe, &[KEY, SEI_RECOVERY, SLICE])
        );
    }

    #[test]
    fn recovery_points_are_looked_for_when_they_matter() {
        let parts = [INTER, SEI_RECOVERY, SLICE];
        assert_eq!(read(&mut VideoFrames::default(), &parts, true), is(FrameKind::RecoveryPoint, &parts));
        assert_eq!(read(&mut VideoFrames::default(), &parts, false), is(FrameKind::Inter, &parts));
    }

    #[test]
    fn what_has_no_slice_is_no_frame_whatever_its_flag() {
        for flag in [KEY, INTER] {
            for units in [AUD, SEI_RECOVERY, b"\0\0\0\0"] {
                assert_eq!(content(&[flag, units]), Err(FrameError::NoSlice), "{units:?}");
            }
        }
    }

    #[test]
    fn parameter_sets_in_tags_of_their_own_go_with_the_next_frame() {
        let mut frames = VideoFrames::default();
        assert_eq!(read(&mut frames, &[KEY, AUD, SPS], false), Ok(None));
        assert_eq!(read(&mut frames, &[KEY, PPS], false), Ok(None));
        assert_eq!(read(&mut frames, &[KEY, IDR], false), is(FrameKind::Keyframe, &[KEY, SPS, PPS, IDR]));
        assert_eq!(read(&mut frames, &[INTER, SLICE], false), is(FrameKind::Inter, &[INTER, SLICE]));
    }

    #[test]
    fn parameter_sets_do_not_pile_up() {
        let mut frames = VideoFrames::default();
        let large = [&20_000_u32.to_be_bytes()[..], &[0x67; 20_000]].concat();
        for _ in 0..3 {
            assert_eq!(read(&mut frames, &[KEY, &large], false), Ok(None));
        }
        assert_eq!(read(&mut frames, &[KEY, &large], false), Err(FrameError::NoSlice));
    }

    #[test]
    fn other_codecs_are_taken_at_their_word() {
        assert_eq!(content(&[b"\x91av01\x12"]), is(FrameKind::Keyframe, &[b"\x91av01\x12"]));
    }
}
