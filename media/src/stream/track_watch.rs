//! A watch over a track's frames, by the time of the other track.

use serde::{Deserialize, Serialize};

use crate::upgrade::{StateError, check_media_time};

/// A track that has had no frame for so long, in milliseconds of the other track, has paused. Audio that is suppressed
/// while it is silent (Opus DTX, 400 ms) and video of one frame a second have not.
pub const PAUSE_MIN_MS: i64 = 3_000;

/// The state of a track of the current publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TrackState {
    /// No frame of it has come, whatever was announced.
    #[default]
    Absent,
    /// Its frames come.
    Present,
    /// Its frames came, and the other track has gone on without it.
    Paused,
}

/// The change that a frame makes to the state of its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appearance {
    /// The track was there before.
    Usual,
    /// It is the first one.
    First,
    /// It ends a pause.
    Again,
}

/// Watches one track. It is measured against the other track, because the clock of a stream only goes on while frames
/// come, and because one track may be sent seconds before the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrackWatch {
    state: TrackState,
    last_ms: i64,
    /// The time between the last two frames: what is a pause for 30 frames a second is none for a slide show.
    step_ms: i64,
    /// The time of the other track's first frame behind this one's last.
    other_since_ms: Option<i64>,
}

impl TrackWatch {
    /// A track that is there already.
    pub fn present() -> Self {
        Self { state: TrackState::Present, ..Self::default() }
    }

    /// Notes a frame of the track.
    pub fn frame(&mut self, time_ms: i64) -> Appearance {
        let before = std::mem::replace(&mut self.state, TrackState::Present);
        self.step_ms = if before == TrackState::Absent { 0 } else { time_ms - self.last_ms };
        self.last_ms = time_ms;
        self.other_since_ms = None;
        match before {
            TrackState::Absent => Appearance::First,
            TrackState::Present => Appearance::Usual,
            TrackState::Paused => Appearance::Again,
        }
    }

    /// Notes a frame of the other track. Returns whether this one has paused with it.
    pub fn other_frame(&mut self, time_ms: i64) -> bool {
        let Some(since_ms) = self.other_since_ms else {
            self.other_since_ms = Some(time_ms);
            return false;
        };
        let alone_ms = time_ms - since_ms;
        let pauses =
            alone_ms >= PAUSE_MIN_MS && alone_ms >= 2 * self.step_ms && self.state == TrackState::Present;
        if pauses {
            self.state = TrackState::Paused;
        }
        pauses
    }

    /// Refuses one whose times are not those of a stream.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        const PART: &str = "a track watch";
        check_media_time(self.last_ms, PART)?;
        check_media_time(self.other_since_ms.unwrap_or(0), PART)?;
        // It is negative where the timeline started over.
        check_media_time(self.step_ms.saturating_abs(), PART)
    }

    /// Returns whether its frames come.
    pub fn is_present(&self) -> bool {
        self.state == TrackState::Present
    }

    /// The time of its last frame, if the other track has had none since.
    pub fn newest_ms(&self) -> Option<i64> {
        (self.is_present() && self.other_since_ms.is_none()).then_some(self.last_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(frames_ms: impl IntoIterator<Item = i64>) -> TrackWatch {
        let mut watch = TrackWatch::default();
        for time_ms in frames_ms {
            watch.frame(time_ms);
            watch.other_frame(time_ms);
        }
        watch
    }

    fn pauses_after_ms(watch: &mut TrackWatch, from_ms: i64) -> Option<i64> {
        (0..100_000).step_by(20).find(|after_ms| watch.other_frame(from_ms + after_ms))
    }

    #[test]
    fn a_track_pauses_once_the_other_has_gone_on_for_long_enough() {
        let mut watch = watch([0, 40, 80]);
        assert_eq!(pauses_after_ms(&mut watch, 80), Some(PAUSE_MIN_MS));
        assert!(!watch.other_frame(50_000), "it is said once");
        assert_eq!(watch.frame(50_010), Appearance::Again);
        assert_eq!(watch.frame(50_050), Appearance::Usual);
    }

    #[test]
    fn a_track_that_never_came_does_not_pause() {
        let mut watch = TrackWatch::default();
        assert_eq!(pauses_after_ms(&mut watch, 0), None);
        assert_eq!(watch.frame(200_000), Appearance::First);
    }

    #[test]
    fn slow_tracks_are_measured_by_their_own_pace() {
        let mut watch = watch([0]);
        assert_eq!(pauses_after_ms(&mut watch, 0), Some(PAUSE_MIN_MS), "its pace is not known yet");
        watch.frame(15_000);
        assert_eq!(pauses_after_ms(&mut watch, 15_000), Some(30_000));
        watch.frame(70_000);
        watch.frame(70_040);
        assert_eq!(pauses_after_ms(&mut watch, 70_040), Some(PAUSE_MIN_MS), "the pause itself is no pace");
    }

    #[test]
    fn tracks_that_are_sent_apart_do_not_pause() {
        let mut video = TrackWatch::default();
        for at in (0..60_000).step_by(40) {
            video.frame(at);
            assert!(!video.other_frame(at + 9_000), "audio is 9 s ahead");
        }
    }

    #[test]
    fn a_timeline_that_starts_over_is_no_pause() {
        let mut watch = watch([2_000_000_000, 2_000_000_040]);
        watch.frame(500);
        assert_eq!(pauses_after_ms(&mut watch, 500), Some(PAUSE_MIN_MS));
    }
}
