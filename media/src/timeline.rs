//! One timeline per stream: publishers' timestamps wrap and start over, what viewers see never goes back.

use crate::frame::Track;

/// A step back by more than this is a new start of the publisher's clock; less is how tracks are interleaved.
pub const STEP_BACK_MAX_MS: i64 = 1_000;

/// A step forward by more than this is a new clock as well: a live stream has no such hole that is worth showing.
pub const STEP_FORWARD_MAX_MS: i64 = 10_000;

/// How far behind the last frame the first one of a new clock is placed: about a picture's duration.
pub const SPLICE_STEP_MS: i64 = 33;

/// Unwraps 32-bit timestamps and joins the clocks of successive publishers into one timeline, in milliseconds.
///
/// The first publisher's times are kept as they are. Each track's times never decrease, and no time is before the
/// last splice.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    clock: Option<Clock>,
    /// The latest time given to any frame.
    newest_ms: Option<i64>,
    /// No frame of this clock is placed before it.
    floor_ms: i64,
    last_audio_ms: i64,
    last_video_ms: i64,
}

/// A publisher's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    last_wrapped_ms: u32,
    last_unwrapped_ms: i64,
    /// Added to the publisher's unwrapped times.
    offset_ms: i64,
}

/// Where a frame is on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The frame's time.
    pub time_ms: i64,
    /// The publisher's clock is another one from this frame on.
    pub spliced: bool,
}

impl Timeline {
    /// Places a frame of sound or pictures.
    pub fn place(&mut self, track: Track, timestamp_ms: u32) -> Placed {
        let (clock, spliced) = match self.clock.and_then(|clock| clock.advanced(timestamp_ms)) {
            Some(clock) => (clock, false),
            None => (self.spliced_clock(timestamp_ms), self.newest_ms.is_some()),
        };
        self.clock = Some(clock);
        if spliced {
            self.floor_ms = self.next_clock_start_ms();
        }
        let last_of_track_ms = match track {
            Track::Audio => &mut self.last_audio_ms,
            Track::Video => &mut self.last_video_ms,
            Track::Data => return self.place_data(),
        };
        let time_ms = (clock.last_unwrapped_ms + clock.offset_ms)
            .max(self.floor_ms)
            .max(*last_of_track_ms);
        *last_of_track_ms = time_ms;
        self.newest_ms = Some(self.newest_ms.map_or(time_ms, |newest_ms| newest_ms.max(time_ms)));
        Placed { time_ms, spliced }
    }

    /// Places what has no time of its own, such as metadata and sequence headers, which encoders stamp with anything:
    /// where the stream is now.
    pub fn place_data(&self) -> Placed {
        Placed {
            time_ms: self.newest_ms.unwrap_or(0),
            spliced: false,
        }
    }

    /// Another publisher follows: its clock has nothing to do with the last one's.
    pub fn end_clock(&mut self) {
        self.clock = None;
    }

    /// The latest time of any frame so far.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    fn spliced_clock(&self, timestamp_ms: u32) -> Clock {
        let unwrapped_ms = i64::from(timestamp_ms);
        let offset_ms = if self.newest_ms.is_some() {
            self.next_clock_start_ms() - unwrapped_ms
        } else {
            0
        };
        Clock {
            last_wrapped_ms: timestamp_ms,
            last_unwrapped_ms: unwrapped_ms,
            offset_ms,
        }
    }

    fn next_clock_start_ms(&self) -> i64 {
        self.newest_ms.map_or(0, |newest_ms| newest_ms + SPLICE_STEP_MS)
    }
}

impl Clock {
    /// The clock at its next timestamp, or `None` if that is no continuation.
    fn advanced(self, timestamp_ms: u32) -> Option<Self> {
        let step_ms = i64::from(timestamp_ms.wrapping_sub(self.last_wrapped_ms) as i32);
        (-STEP_BACK_MAX_MS..=STEP_FORWARD_MAX_MS)
            .contains(&step_ms)
            .then_some(Self {
                last_wrapped_ms: timestamp_ms,
                last_unwrapped_ms: self.last_unwrapped_ms + step_ms,
                ..self
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(timeline: &mut Timeline, timestamps_ms: &[u32]) -> Vec<i64> {
        timestamps_ms
            .iter()
            .map(|at| timeline.place(Track::Video, *at).time_ms)
            .collect()
    }

    #[test]
    fn the_first_publishers_times_are_kept() {
        assert_eq!(
            times(&mut Timeline::default(), &[5_000_000, 5_000_033]),
            [5_000_000, 5_000_033]
        );
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
        let placed = timeline.place(Track::Video, 80);
        assert_eq!(
            placed,
            Placed {
                time_ms: 1033 + SPLICE_STEP_MS,
                spliced: true
            }
        );
        let audio_before_it = timeline.place(Track::Audio, 0);
        assert_eq!(
            audio_before_it,
            Placed {
                time_ms: 1033 + SPLICE_STEP_MS,
                spliced: false
            }
        );
        assert_eq!(times(&mut timeline, &[113]), [1033 + SPLICE_STEP_MS + 33]);
    }

    #[test]
    fn a_clock_that_jumps_is_spliced_in_both_directions() {
        let mut timeline = Timeline::default();
        assert_eq!(times(&mut timeline, &[60_000, 0, 33]), [60_000, 60_033, 60_066]);
        assert_eq!(times(&mut timeline, &[4_000_000, 4_000_033]), [60_099, 60_132]);
    }

    #[test]
    fn tracks_interleaved_out_of_order_keep_their_times() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.place(Track::Video, 500).time_ms, 500);
        assert_eq!(timeline.place(Track::Audio, 420).time_ms, 420);
        assert_eq!(timeline.place(Track::Audio, 443).time_ms, 443);
        assert_eq!(timeline.place(Track::Video, 533).time_ms, 533);
    }

    proptest! {
        #[test]
        fn no_track_ever_goes_back(
            steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0..4_u8), 1..200),
        ) {
            let mut timeline = Timeline::default();
            let mut last = [i64::MIN; 2];
            let mut floor = i64::MIN;
            let mut at = 0_u32;
            for (video, value, how) in steps {
                at = match how {
                    0 => value,
                    1 => { timeline.end_clock(); value }
                    2 => at.wrapping_sub(value % 2_000),
                    _ => at.wrapping_add(value % 2_000),
                };
                let newest = timeline.newest_ms().unwrap_or(i64::MIN);
                let placed = timeline.place(if video { Track::Video } else { Track::Audio }, at);
                if placed.spliced { floor = newest; }
                prop_assert!(placed.time_ms >= last[usize::from(video)]);
                prop_assert!(placed.time_ms > floor || floor == i64::MIN);
                last[usize::from(video)] = placed.time_ms;
            }
        }
    }
}
