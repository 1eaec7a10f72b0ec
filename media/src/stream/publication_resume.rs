//! Goes on with a publication that is pulled from another node when the connection broke: the new connection begins at a
//! keyframe of the cache there, and what came over the last one is not taken twice.

mod state;

use crate::stream::{
    frame::{Frame, Track},
    frame_class::FrameClass,
    headers::EXTRAS_MAX,
};
pub use state::PublicationResumeState;

/// A time that is further back than this, in milliseconds, is no repetition: the timeline of the other node started over.
const REPEATED_MAX_MS: i32 = 1 << 30;

/// The most headers that are held: metadata, two sequence headers, and what there is of further tracks.
const HELD_MAX: usize = 3 + EXTRAS_MAX;

/// The position up to which one publication was taken, over all its connections.
#[derive(Debug, Default)]
pub struct PublicationResume {
    audio_ms: Option<u32>,
    video_ms: Option<u32>,
    phase: ResumePhase,
}

/// The part of the received frames that is new.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Frames that did not come before.
    pub frames: Vec<Frame>,
    /// Something is missing between what came before and these frames.
    pub after_hole: bool,
}

#[derive(Debug, Default)]
enum ResumePhase {
    #[default]
    Following,
    /// Nothing but headers came over the new connection. They are those of its first video frame, which may be older
    /// than the newest that was taken, so they wait.
    Joining(HeldHeaders),
    /// The frames came before.
    Repeating(HeldHeaders),
}

/// The newest of each kind, in the order in which they came first.
#[derive(Debug, Default)]
struct HeldHeaders(Vec<(FrameClass, Frame)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Configures decoders; has no time of its own.
    Header,
    /// Audio or video.
    Coded,
    Other,
}

impl PublicationResume {
    /// The next frames come over a new connection to the same publication.
    pub fn reconnected(&mut self) {
        if self.audio_ms.is_some() || self.video_ms.is_some() {
            self.phase = ResumePhase::Joining(HeldHeaders::default());
        }
    }

    /// Returns the part of the next frames that is new.
    pub fn take(&mut self, frames: Vec<Frame>) -> Taken {
        let mut taken = Taken::default();
        for frame in frames {
            self.step(frame, &mut taken);
        }
        taken
    }

    fn step(&mut self, frame: Frame, taken: &mut Taken) {
        let kind = Kind::of(&frame);
        let repeats = self.repeats(&frame);
        match (&mut self.phase, kind) {
            (ResumePhase::Following, _) => self.pass(frame, kind, taken),
            (ResumePhase::Joining(held) | ResumePhase::Repeating(held), Kind::Header) => held.keep(frame),
            (ResumePhase::Joining(held), Kind::Coded) if repeats => {
                self.phase = ResumePhase::Repeating(std::mem::take(held))
            }
            (ResumePhase::Repeating(_), Kind::Coded) if repeats => {}
            (ResumePhase::Joining(held), Kind::Coded) => {
                taken.after_hole = true;
                taken.frames.extend(std::mem::take(held).frames());
                (self.audio_ms, self.video_ms) = (None, None);
                self.follow(frame, taken);
            }
            (ResumePhase::Repeating(held), Kind::Coded) => {
                taken.frames.extend(std::mem::take(held).frames());
                self.follow(frame, taken);
            }
            (ResumePhase::Joining(_) | ResumePhase::Repeating(_), Kind::Other) => {}
        }
    }

    /// The repeats are over: a connection's frames come in the order of every other one's.
    fn follow(&mut self, frame: Frame, taken: &mut Taken) {
        self.phase = ResumePhase::Following;
        self.pass(frame, Kind::Coded, taken);
    }

    fn pass(&mut self, frame: Frame, kind: Kind, taken: &mut Taken) {
        match (kind, frame.track) {
            (Kind::Coded, Track::Audio) => self.audio_ms = Some(frame.timestamp_ms),
            (Kind::Coded, Track::Video) => self.video_ms = Some(frame.timestamp_ms),
            _ => {}
        }
        taken.frames.push(frame);
    }

    /// Returns whether the frame is no later than the last one of its track, or of the other if its own had none.
    fn repeats(&self, frame: &Frame) -> bool {
        let last_ms = match frame.track {
            Track::Audio => self.audio_ms.or(self.video_ms),
            Track::Video => self.video_ms.or(self.audio_ms),
            Track::Data => None,
        };
        let ahead_ms = last_ms.map(|last_ms| frame.timestamp_ms.wrapping_sub(last_ms) as i32);
        ahead_ms.is_some_and(|ahead_ms| (-REPEATED_MAX_MS..=0).contains(&ahead_ms))
    }
}

impl HeldHeaders {
    fn keep(&mut self, frame: Frame) {
        let Ok(class) = FrameClass::of(&frame) else { return };
        let is_full = self.0.len() >= HELD_MAX;
        match self.0.iter_mut().find(|(held, _)| held.configures_the_same(class)) {
            Some(held) => *held = (class, frame),
            None if is_full => {}
            None => self.0.push((class, frame)),
        }
    }

    fn frames(self) -> impl Iterator<Item = Frame> {
        self.0.into_iter().map(|(_, frame)| frame)
    }
}

impl Kind {
    fn of(frame: &Frame) -> Self {
        match FrameClass::of(frame) {
            Ok(class) if class.is_header() => Kind::Header,
            Ok(FrameClass::Video(_) | FrameClass::Audio(_) | FrameClass::Beside) => Kind::Coded,
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    /// A publication as a connection that begins at `from` gives it: headers, then media from a keyframe on.
    fn from(source: &[Frame], from: usize) -> Vec<Frame> {
        let headers = [samples::metadata(true, true), samples::video_header(), samples::audio_header()];
        headers.into_iter().chain(source[from..].iter().cloned()).collect()
    }

    /// Audio and video, a keyframe each eight frames.
    fn source(first_ms: u32, count: u32) -> Vec<Frame> {
        let frame = |at: u32| {
            let time_ms = first_ms.wrapping_add(at * 20);
            match at % 8 {
                0 => samples::keyframe(time_ms),
                2 | 4 | 6 => samples::inter(time_ms),
                _ => samples::audio(time_ms),
            }
        };
        (0..count).map(frame).collect()
    }

    fn media(taken: &Taken) -> Vec<Frame> {
        taken.frames.iter().filter(|frame| Kind::of(frame) == Kind::Coded).cloned().collect()
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_and_nothing_is_left_out(
            first_ms in prop_oneof![Just(0), Just(u32::MAX - 400), any::<u32>()],
            broke_at in 1_usize..64,
            gops_cached in 0_usize..3,
            piece in 1_usize..20,
        ) {
            let source = source(first_ms, 80);
            let mut resume = PublicationResume::default();
            let mut seen = media(&resume.take(from(&source[..broke_at], 0)));
            resume.reconnected();
            let newest_gop = (broke_at - 1) / 8;
            for frames in from(&source, newest_gop.saturating_sub(gops_cached) * 8).chunks(piece) {
                let taken = resume.take(frames.to_vec());
                prop_assert!(!taken.after_hole);
                seen.extend(media(&taken));
            }
            prop_assert_eq!(seen, source);
        }

        #[test]
        fn a_hole_is_reported_once_and_before_anything_behind_it(broke_at in 1_usize..30, piece in 1_usize..20) {
            let source = source(0, 80);
            let mut resume = PublicationResume::default();
            resume.take(from(&source[..broke_at], 0));
            resume.reconnected();
            let (mut seen, mut holes) = (Vec::new(), 0);
            for frames in from(&source, 32).chunks(piece) {
                let taken = resume.take(frames.to_vec());
                prop_assert!(!taken.after_hole || seen.is_empty());
                holes += usize::from(taken.after_hole);
                seen.extend(taken.frames);
            }
            prop_assert_eq!(holes, 1);
            prop_assert_eq!(seen, from(&source, 32));
        }
    }

    #[test]
    fn headers_of_an_older_frame_are_not_taken_in_the_place_of_newer_ones() {
        let level = |level: u8| {
            let mut payload = samples::video_header().payload.to_vec();
            payload[8] = level;
            Frame { payload: Bytes::from(payload), ..samples::video_header() }
        };
        let stream = [level(1), samples::keyframe(0), level(2), samples::keyframe(40), samples::inter(80)];
        let mut resume = PublicationResume::default();
        resume.take(stream[..4].to_vec());
        resume.reconnected();
        let taken = resume.take(stream.to_vec());
        assert_eq!(taken, Taken { frames: vec![level(2), samples::inter(80)], after_hole: false });
    }

    #[test]
    fn headers_that_come_once_are_held_with_the_others() {
        let colour = |depth: u8| Frame {
            payload: Bytes::from(vec![0x94, b'h', b'v', b'c', b'1', depth]),
            ..samples::keyframe(0)
        };
        let stream = |depth, at_ms| [samples::video_header(), colour(depth), samples::keyframe(at_ms)];
        let mut resume = PublicationResume::default();
        resume.take(stream(8, 0).to_vec());
        resume.reconnected();
        let frames: Vec<Frame> = stream(8, 0).into_iter().chain(stream(10, 40)).collect();
        let taken = resume.take(frames);
        assert_eq!(taken, Taken { frames: stream(10, 40).to_vec(), after_hole: false });
    }

    #[test]
    fn a_timeline_that_started_over_is_a_hole() {
        let mut resume = PublicationResume::default();
        resume.take(vec![samples::keyframe(u32::MAX / 2 - 1000)]);
        resume.reconnected();
        let taken = resume.take(vec![samples::keyframe(500)]);
        assert_eq!(taken, Taken { frames: vec![samples::keyframe(500)], after_hole: true });
    }

    #[test]
    fn a_connection_that_brought_nothing_needs_no_care() {
        let mut resume = PublicationResume::default();
        resume.take(vec![samples::video_header()]);
        resume.reconnected();
        let taken = resume.take(vec![samples::video_header(), samples::keyframe(0)]);
        assert_eq!(taken.frames.len(), 2);
        assert!(!taken.after_hole);
    }
}
