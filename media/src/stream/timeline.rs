//! One timeline per stream: publishers' timestamps wrap and start over, what viewers see never goes back.

use crate::stream::frame::Track;

/// A step back by more than this is a new start of the publisher's clock; less is how tracks are interleaved.
pub const STEP_BACK_MAX_MS: i64 = 1_000;

/// A step forward by more than this is a new clock as well: a live stream has no such hole that is worth showing.
pub const STEP_FORWARD_MAX_MS: i64 = 10_000;

/// How far behind the last frame the first one of a new clock is placed: about a picture's duration.
pub const SPLICE_STEP_MS: i64 = 33;

/// Unwraps 32-bit timestamps and joins the clocks of successive publishers into one timeline, in milliseconds.
///
/// The first publisher's times are kept as they are. Each track's times never decrease, and no time is before the
/// last publisher's newest. A jump is judged against the same track: encoders put sound and pictures seconds apart.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// The latest time given to any frame.
    newest_ms: Option<i64>,
    /// No frame of this publisher is placed before it.
    floor_ms: Option<i64>,
    audio: TrackClock,
    video: TrackClock,
}

/// A track's clock, as its publisher runs it.
#[derive(Debug, Clone, Copy, Default)]
struct TrackClock {
    reading: Option<Reading>,
    /// The time given to the track's last frame.
    last_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    wrapped_ms: u32,
    unwrapped_ms: i64,
    /// Added to the publisher's unwrapped times.
    offset_ms: i64,
}

impl Timeline {
    /// Gives a frame of sound or pictures its time. Frames of other tracks are placed at [`now_ms`](Self::now_ms).
    pub fn place(&mut self, track: Track, timestamp_ms: u32) -> i64 {
        let (own, other) = match track {
            Track::Audio => (self.audio, self.video),
            Track::Video => (self.video, self.audio),
            Track::Data => return self.now_ms(),
        };
        let reading = own
            .continued(timestamp_ms)
            .or_else(|| self.with_other_track(own, other, timestamp_ms))
            .unwrap_or_else(|| self.spliced(timestamp_ms));
        let bounds = [self.floor_ms, own.last_ms].into_iter().flatten();
        let time_ms = bounds.fold(reading.unwrapped_ms + reading.offset_ms, i64::max);
        let clock = TrackClock { reading: Some(reading), last_ms: Some(time_ms) };
        match track {
            Track::Audio => self.audio = clock,
            _ => self.video = clock,
        }
        self.newest_ms = Some(self.newest_ms.map_or(time_ms, |newest_ms| newest_ms.max(time_ms)));
        time_ms
    }

    /// Where the stream is now: the time of what has none of its own, such as metadata and sequence headers, which
    /// encoders stamp with anything.
    pub fn now_ms(&self) -> i64 {
        self.newest_ms.unwrap_or(0)
    }

    /// Another publisher follows: its clock has nothing to do with the last one's.
    pub fn end_clock(&mut self) {
        self.audio.reading = None;
        self.video.reading = None;
        self.floor_ms = self.newest_ms.map(|newest_ms| newest_ms + SPLICE_STEP_MS);
    }

    /// The latest time of any frame so far.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// A track that begins, or jumps after the other one did, runs with the other's clock if that puts it near the
    /// newest frame: so both stay in step.
    fn with_other_track(&self, own: TrackClock, other: TrackClock, timestamp_ms: u32) -> Option<Reading> {
        let reading = other.reading?.at(timestamp_ms);
        let ahead_ms = reading.unwrapped_ms + reading.offset_ms - self.newest_ms?;
        let back_max_ms = if own.reading.is_some() { STEP_BACK_MAX_MS } else { STEP_FORWARD_MAX_MS };
        (-back_max_ms..=STEP_FORWARD_MAX_MS).contains(&ahead_ms).then_some(reading)
    }

    /// A clock that continues nothing, set behind the newest frame.
    fn spliced(&self, timestamp_ms: u32) -> Reading {
        let unwrapped_ms = i64::from(timestamp_ms);
        let begin_ms = self.newest_ms.map_or(unwrapped_ms, |newest_ms| newest_ms + SPLICE_STEP_MS);
        Reading { wrapped_ms: timestamp_ms, unwrapped_ms, offset_ms: begin_ms - unwrapped_ms }
    }
}

impl TrackClock {
    /// The clock at the track's next timestamp, or `None` if that is no continuation.
    fn continued(&self, timestamp_ms: u32) -> Option<Reading> {
        let last = self.reading?;
        let next = last.at(timestamp_ms);
        let step_ms = next.unwrapped_ms - last.unwrapped_ms;
        (-STEP_BACK_MAX_MS..=STEP_FORWARD_MAX_MS).contains(&step_ms).then_some(next)
    }
}

impl Reading {
    /// The same clock at another timestamp, the nearest one that wraps to it.
    fn at(self, timestamp_ms: u32) -> Self {
        let step_ms = i64::from(timestamp_ms.wrapping_sub(self.wrapped_ms) as i32);
        Self { wrapped_ms: timestamp_ms, unwrapped_ms: self.unwrapped_ms + step_ms, ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(timeline: &mut Timeline, timestamps_ms: &[u32]) -> Vec<i64> {
        timestamps_ms.iter().map(|at| timeline.place(Track::Video, *at)).collect()
    }

    #[test]
    fn the_first_publishers_times_are_kept() {
        assert_eq!(times(&mut Timeline::default(), &[5_000_000, 5_000_033]), [5_000_000, 5_000_033]);
    }

    #[test]
    fn times_go_on_where_32_bits_wrap() {
        let last = u32::MAX - 9;
        assert_eq!(
            times(&mut Timeline::default(), &[last, 0, 30]),
            [i64::from(last), i64::from(last) + 10, i64::from(last) + 40]
        );
    }

    #[test]
    fn another_publisher_goes_on_behind_the_last_frame() {
        let mut timeline = Timeline::default();
        times(&mut timeline, &[1000, 1033]);
        timeline.end_clock();
        let begin_ms = 1033 + SPLICE_STEP_MS;
        assert_eq!(timeline.place(Track::Video, 80), begin_ms);
        assert_eq!(timeline.place(Track::Audio, 0), begin_ms, "not before the first publisher's last");
        assert_eq!(timeline.place(Track::Audio, 100), begin_ms + 20, "in step with the pictures");
        assert_eq!(times(&mut timeline, &[113]), [begin_ms + 33]);
    }

    #[test]
    fn a_clock_that_jumps_is_spliced_in_both_directions() {
        let mut timeline = Timeline::default();
        assert_eq!(times(&mut timeline, &[60_000, 0, 33]), [60_000, 60_033, 60_066]);
        assert_eq!(times(&mut timeline, &[4_000_000, 4_000_033]), [60_099, 60_132]);
    }

    #[test]
    fn tracks_that_jump_together_stay_in_step() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.place(Track::Video, 60_000), 60_000);
        assert_eq!(timeline.place(Track::Audio, 60_010), 60_010);
        assert_eq!(timeline.place(Track::Video, 0), 60_043);
        assert_eq!(timeline.place(Track::Audio, 10), 60_053);
        assert_eq!(timeline.place(Track::Video, 33), 60_076);
    }

    #[test]
    fn tracks_that_are_seconds_apart_keep_their_distance_and_their_pace() {
        let mut timeline = Timeline::default();
        for at in (0..100).map(|at| 5_000 + at * 33) {
            assert_eq!(timeline.place(Track::Video, at), i64::from(at));
            assert_eq!(timeline.place(Track::Audio, at - 1_500), i64::from(at) - 1_500);
        }
    }

    #[test]
    fn tracks_with_clocks_of_their_own_run_side_by_side() {
        let mut timeline = Timeline::default();
        for at in (0..100).map(|at| at * 33) {
            let video_ms = timeline.place(Track::Video, 3_600_000 + at);
            let audio_ms = timeline.place(Track::Audio, at);
            assert_eq!(video_ms, 3_600_000 + i64::from(at));
            assert_eq!(audio_ms, video_ms + SPLICE_STEP_MS);
        }
    }

    #[test]
    fn tracks_interleaved_out_of_order_keep_their_times() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.place(Track::Video, 500), 500);
        assert_eq!(timeline.place(Track::Audio, 420), 420);
        assert_eq!(timeline.place(Track::Audio, 443), 443);
        assert_eq!(timeline.place(Track::Video, 533), 533);
    }

    proptest! {
        #[test]
        fn no_track_ever_goes_back_nor_behind_an_earlier_publisher(
            steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0..4_u8), 1..200),
        ) {
            let mut timeline = Timeline::default();
            let mut last = [i64::MIN; 2];
            let mut floor = i64::MIN;
            let mut at = 0_u32;
            for (video, value, how) in steps {
                at = match how {
                    0 => value,
                    1 => {
                        floor = timeline.newest_ms().unwrap_or(floor);
                        timeline.end_clock();
                        value
                    }
                    2 => at.wrapping_sub(value % 2_000),
                    _ => at.wrapping_add(value % 2_000),
                };
                let time_ms = timeline.place(if video { Track::Video } else { Track::Audio }, at);
                prop_assert!(time_ms >= last[usize::from(video)]);
                prop_assert!(time_ms >= floor);
                last[usize::from(video)] = time_ms;
            }
        }
    }
}
