//! Frames of a publisher that takes over from another one, held until its first keyframe.

use super::{frame::Frame, frame_class::FrameClass};
use crate::flv::video::VideoKind;

/// The most that is held, in bytes and in frames: what a publisher sends in the moment between its first keyframe and the
/// end of the one before it.
const HELD_MAX_BYTES: usize = 16 * 1024 * 1024;
const HELD_MAX: usize = 1_000;

/// The frames of the new publisher. Those before its first keyframe are left out, but for headers: viewers see the publisher
/// before it until then.
#[derive(Debug, Default)]
pub struct HeldFrames {
    frames: Vec<Frame>,
    size_bytes: usize,
    has_begun: bool,
}

impl HeldFrames {
    /// Takes the next frame. Without video, decoding can begin with any frame of audio.
    pub fn push(&mut self, frame: Frame, has_video: bool) {
        let class = FrameClass::of(&frame);
        self.has_begun |= match class {
            Ok(FrameClass::Video(header)) => header.kind == VideoKind::Keyframe,
            Ok(FrameClass::Audio(_)) => !has_video,
            _ => false,
        };
        let is_wanted = self.has_begun || class.is_ok_and(FrameClass::is_header);
        if is_wanted && !self.is_full() {
            self.size_bytes += frame.payload.len();
            self.frames.push(frame);
        }
    }

    /// Returns whether decoding can begin with what is held.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns whether nothing more is held.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= HELD_MAX || self.size_bytes >= HELD_MAX_BYTES
    }

    /// The frames that are held.
    pub fn into_frames(self) -> Vec<Frame> {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn held(frames: impl IntoIterator<Item = Frame>, has_video: bool) -> (bool, usize) {
        let mut held = HeldFrames::default();
        frames.into_iter().for_each(|frame| held.push(frame, has_video));
        (held.has_begun(), held.into_frames().len())
    }

    #[test]
    fn headers_are_held_and_media_from_the_first_keyframe_on() {
        let before = [samples::metadata(true, true), samples::video_header(), samples::inter(0)];
        assert_eq!(held(before.clone(), true), (false, 2));
        let after = [samples::keyframe(40), samples::inter(80)];
        assert_eq!(held(before.into_iter().chain(after), true), (true, 4));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let keyframes = (0..2 * HELD_MAX as u32).map(samples::keyframe);
        assert_eq!(held(keyframes, true), (true, HELD_MAX));
    }
}
