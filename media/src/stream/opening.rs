//! The first frames of a publisher, held until it is known which tracks come.

mod state;

use crate::stream::{
    frame::{Frame, Track},
    headers::HeaderSet,
    tracks::Tracks,
};
pub use state::OpeningState;

/// The most media that is held, in milliseconds, for a track that is announced and does not come: encoders send one track
/// up to that far ahead of the other. The owner has a shorter timer of the wall clock as well, as nothing more may come at all.
pub const OPENING_MAX_MS: u32 = 3_000;

/// The most that is held, in bytes.
pub const OPENING_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Frames that wait. The tracks that a viewer sees at its beginning hold for its whole connection in most players: they
/// wait for a track that is announced, and never show one that is not.
#[derive(Debug, Default)]
pub struct Opening {
    frames: Vec<Frame>,
    came: Tracks,
    size_bytes: usize,
    /// The first and the last time of audio or video.
    span_ms: Option<(u32, u32)>,
}

impl Opening {
    /// Holds a frame. `track` is the main track that it shows to be there, if any.
    pub fn hold(&mut self, frame: Frame, track: Option<Track>) {
        if let Some(track) = track {
            self.came.insert(track);
            self.span_ms.get_or_insert((frame.timestamp_ms, 0)).1 = frame.timestamp_ms;
        }
        self.size_bytes += size_of::<Frame>() + frame.payload.len();
        self.frames.push(frame);
    }

    /// Returns whether all announced tracks came, or as much is held as may be.
    pub fn is_over(&self, headers: &HeaderSet) -> bool {
        self.size_bytes >= OPENING_MAX_BYTES
            || self.span_ms() >= OPENING_MAX_MS
            || (!self.came.is_empty() && self.came.includes(expected(headers)))
    }

    /// Returns whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The tracks that came.
    pub fn came(&self) -> Tracks {
        self.came
    }

    /// Returns the frames in order.
    pub fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    fn span_ms(&self) -> u32 {
        self.span_ms.map_or(0, |(first_ms, last_ms)| (last_ms.wrapping_sub(first_ms) as i32).unsigned_abs())
    }
}

/// The tracks to wait for. A stream that announces nothing has video sooner or later, most likely; audio that needs no
/// sequence header is not worth a second for all who have none.
fn expected(headers: &HeaderSet) -> Tracks {
    let announced = headers.announced();
    if headers.has_announcement() { announced } else { Tracks { video: true, ..announced } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn opening(frames: impl IntoIterator<Item = Frame>) -> Opening {
        let mut opening = Opening::default();
        for frame in frames {
            let track = frame.track;
            opening.hold(frame, Some(track));
        }
        opening
    }

    fn announcing(video: bool, audio: bool) -> HeaderSet {
        let mut headers = HeaderSet::default();
        headers.set_metadata(&samples::metadata(video, audio).payload).unwrap();
        headers
    }

    #[test]
    fn it_is_over_when_all_that_is_announced_has_come() {
        let video = opening([samples::keyframe(0)]);
        assert!(video.is_over(&announcing(true, false)));
        assert!(!video.is_over(&announcing(true, true)));
        assert!(opening([samples::keyframe(0), samples::audio(5)]).is_over(&announcing(true, true)));
        assert!(!Opening::default().is_over(&announcing(true, true)), "nothing has come");
    }

    #[test]
    fn video_is_expected_where_nothing_is_announced() {
        assert!(opening([samples::keyframe(0)]).is_over(&HeaderSet::default()));
        assert!(!opening([samples::audio(0)]).is_over(&HeaderSet::default()));
    }

    #[test]
    fn what_does_not_come_is_not_waited_for_forever() {
        let headers = announcing(true, true);
        let audio = |until_ms: u32| {
            opening((0..=until_ms).step_by(20).map(|at| samples::audio(at.wrapping_sub(100))))
        };
        assert!(!audio(OPENING_MAX_MS - 20).is_over(&headers));
        assert!(audio(OPENING_MAX_MS).is_over(&headers));
        let mut large = opening([samples::keyframe(0)]);
        let payload = vec![0; OPENING_MAX_BYTES].into();
        large.hold(Frame { payload, ..samples::inter(33) }, Some(Track::Video));
        assert!(large.is_over(&headers));
    }
}
