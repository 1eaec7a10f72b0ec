//! One timeline per stream: publishers' timestamps wrap and start over, what viewers see never goes back.

mod state;

use serde::{Deserialize, Serialize};

use crate::stream::{
    decode_order::{DecodeOrder, DecodeTime},
    frame::Track,
};
pub use state::TimelineState;

/// A step back by more than this is a new start of the publisher's clock; less is how tracks are interleaved.
pub const STEP_BACK_MAX_MS: i64 = 1_000;

/// A frame further ahead of the stream than this has a new clock as well: a live stream has no such hole that is worth
/// showing.
pub const STEP_FORWARD_MAX_MS: i64 = 10_000;

/// Distance between the last frame and the first one of a new clock: about the duration of a video frame.
pub const SPLICE_STEP_MS: i64 = 33;

/// A stream whose first time is not later than this begins there.
pub const BEGIN_MAX_MS: i64 = 10_000;

/// The time at which other streams begin: not at 0, because the other track may begin a little before the first frame.
pub const BEGIN_MS: i64 = 500;

/// The time from which the timeline starts over, at the next frame that decoding can start at. FLV's times are signed 32-bit numbers
/// (FLV v10.1 E.4.1), and browsers' players stand still where they turn negative, after 24.8 days.
pub const RESTART_MS: i64 = LAST_MS - 3_600_000;

/// The last time that players can read; the timeline starts over at whatever frame would be later.
const LAST_MS: i64 = i32::MAX as i64;

/// Unwraps 32-bit timestamps and joins the clocks of successive publishers into one timeline, in milliseconds.
///
/// It begins near 0 whatever the first publisher's clock says. Each track's times never decrease, and no time is before
/// the last publisher's newest. A backward jump of a clock is judged against its own track, because encoders put audio
/// and video seconds apart; a forward jump against the whole stream, because a track may pause.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// The latest time given to any frame.
    newest_ms: Option<i64>,
    /// No frame of this publisher is placed before it.
    floor_ms: i64,
    audio: TrackClock,
    video: TrackClock,
    video_order: DecodeOrder,
}

/// A frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its decoding time.
    pub time_ms: i64,
    /// The delay of its presentation beyond what its header says, if the encoder stamps with presentation times.
    pub presented_later_ms: i64,
}

/// A track's clock, as its publisher runs it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct TrackClock {
    reading: Option<Reading>,
    /// The time given to the track's last frame.
    last_ms: Option<i64>,
    /// The frame's time is the clock's reading, and so is the next one's.
    is_steady: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Reading {
    wrapped_ms: u32,
    unwrapped_ms: i64,
    /// Added to the publisher's unwrapped times.
    offset_ms: i64,
}

impl Timeline {
    /// Gives a frame of audio or video its time. Frames of other tracks are placed at [`now_ms`](Self::now_ms).
    pub fn place(&mut self, track: Track, timestamp_ms: u32) -> i64 {
        self.place_decoded(track, timestamp_ms).time_ms
    }

    /// Places a frame as [`place`](Self::place) does, and says how far off the presentation is that its header gives.
    pub fn place_decoded(&mut self, track: Track, timestamp_ms: u32) -> Placed {
        let clock = match track {
            Track::Audio => &mut self.audio,
            Track::Video => &mut self.video,
            Track::Data => return Placed { time_ms: self.now_ms(), presented_later_ms: 0 },
        };
        let time_ms = match clock.steady_step(timestamp_ms) {
            Some(time_ms) if time_ms <= LAST_MS => time_ms,
            _ => return self.place_anew(track, timestamp_ms),
        };
        if self.newest_ms.is_none_or(|newest_ms| newest_ms < time_ms) {
            self.newest_ms = Some(time_ms);
        }
        Placed { time_ms, presented_later_ms: 0 }
    }

    /// The time of a frame that runs beside a track's own, such as one of a further track: by the same clock, and never
    /// before the track's last frame.
    pub fn beside(&self, track: Track, timestamp_ms: u32) -> i64 {
        let clock = if track == Track::Audio { self.audio } else { self.video };
        let reading = self.continued(clock, timestamp_ms);
        let time_ms = reading.map_or(self.now_ms(), Reading::stamp_ms);
        time_ms.max(self.floor_ms).max(clock.last_ms.unwrap_or(0))
    }

    /// Returns the stream's time: that of everything that has none of its own, such as sequence headers, which encoders stamp with
    /// anything.
    pub fn now_ms(&self) -> i64 {
        self.newest_ms.unwrap_or(0)
    }

    /// Another publisher follows: its clock has nothing to do with the last one's.
    pub fn end_clock(&mut self) {
        self.audio.reading = None;
        self.video.reading = None;
        self.video_order = DecodeOrder::default();
        self.floor_ms = self.newest_ms.map_or(0, |newest_ms| newest_ms + SPLICE_STEP_MS);
    }

    /// The latest time of any frame so far.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Starts over near 0 if the timeline is past [`RESTART_MS`]; all clocks run on in step. Returns whether it did.
    pub fn restart_if_due(&mut self) -> bool {
        let is_due = self.newest_ms.is_some_and(|newest_ms| newest_ms >= RESTART_MS);
        if is_due {
            self.restart();
        }
        is_due
    }

    /// Places a frame that does not just follow the one before it.
    fn place_anew(&mut self, track: Track, timestamp_ms: u32) -> Placed {
        let is_audio = track == Track::Audio;
        let (own, other) = if is_audio { (self.audio, self.video) } else { (self.video, self.audio) };
        let reading = self
            .continued(own, timestamp_ms)
            .or_else(|| self.with_other_track(own, other, timestamp_ms))
            .unwrap_or_else(|| self.spliced(timestamp_ms));
        let placed = self.decoded(track, own, reading);
        let is_steady = placed.time_ms == reading.stamp_ms() && (is_audio || self.video_order.is_idle());
        let clock = TrackClock { reading: Some(reading), last_ms: Some(placed.time_ms), is_steady };
        if is_audio {
            self.audio = clock;
        } else {
            self.video = clock;
        }
        self.newest_ms = self.newest_ms.max(Some(placed.time_ms));
        if placed.time_ms > LAST_MS { self.restarted(placed) } else { placed }
    }

    /// Goes on with a track's clock, unless it went back or is too far ahead of the stream.
    fn continued(&self, own: TrackClock, timestamp_ms: u32) -> Option<Reading> {
        let last = own.reading?;
        let next = last.at(timestamp_ms);
        let is_back = next.unwrapped_ms - last.unwrapped_ms < -STEP_BACK_MAX_MS;
        let ahead_ms = next.stamp_ms() - self.newest_ms?;
        (!is_back && ahead_ms <= STEP_FORWARD_MAX_MS).then_some(next)
    }

    /// A track that begins, or jumps after the other one did, runs with the other's clock if that puts it near the
    /// newest frame: so both stay in step.
    fn with_other_track(&self, own: TrackClock, other: TrackClock, timestamp_ms: u32) -> Option<Reading> {
        let reading = other.reading?.at(timestamp_ms);
        let ahead_ms = reading.stamp_ms() - self.newest_ms?;
        let back_max_ms = if own.reading.is_some() { STEP_BACK_MAX_MS } else { STEP_FORWARD_MAX_MS };
        (-back_max_ms..=STEP_FORWARD_MAX_MS).contains(&ahead_ms).then_some(reading)
    }

    /// A clock that continues nothing: set behind the newest frame, or near 0 at the stream's beginning.
    fn spliced(&self, timestamp_ms: u32) -> Reading {
        let unwrapped_ms = i64::from(timestamp_ms);
        let begin_ms = match self.newest_ms {
            Some(newest_ms) => newest_ms + SPLICE_STEP_MS,
            None if unwrapped_ms <= BEGIN_MAX_MS => unwrapped_ms,
            None => BEGIN_MS,
        };
        Reading { wrapped_ms: timestamp_ms, unwrapped_ms, offset_ms: begin_ms - unwrapped_ms }
    }

    /// Returns the time at which a frame with this reading is decoded: not before the floor or the track's last frame. Frames
    /// whose own times go back are kept apart.
    fn decoded(&mut self, track: Track, own: TrackClock, reading: Reading) -> Placed {
        let stamp_ms = reading.stamp_ms().max(self.floor_ms);
        let order = match track {
            Track::Video => self.video_order.next(reading.stamp_ms(), own.reading.map(Reading::stamp_ms)),
            _ => DecodeTime::Stamped,
        };
        let due_ms = match order {
            DecodeTime::Stamped => stamp_ms,
            DecodeTime::At(at_ms) => at_ms.max(self.floor_ms),
        };
        let is_repeated = own.reading.is_some_and(|last| last.stamp_ms() == reading.stamp_ms());
        let time_ms = match own.last_ms {
            Some(last_ms) if due_ms > last_ms || (due_ms == last_ms && is_repeated) => due_ms,
            Some(last_ms) => last_ms + 1,
            None => due_ms,
        };
        let presented_later_ms = if order == DecodeTime::Stamped { 0 } else { stamp_ms - time_ms };
        Placed { time_ms, presented_later_ms }
    }

    fn restarted(&mut self, placed: Placed) -> Placed {
        let by_ms = self.restart();
        Placed { time_ms: placed.time_ms + by_ms, ..placed }
    }

    /// Moves everything back so that the newest frame is near 0. Returns by how much.
    fn restart(&mut self) -> i64 {
        let by_ms = BEGIN_MS - self.now_ms();
        for clock in [&mut self.audio, &mut self.video] {
            clock.last_ms = clock.last_ms.map(|last_ms| (last_ms + by_ms).max(0));
            clock.is_steady = false;
            clock.reading = clock.reading.map(|last| Reading { offset_ms: last.offset_ms + by_ms, ..last });
        }
        self.video_order.shift(by_ms);
        self.floor_ms = 0;
        self.newest_ms = Some(BEGIN_MS);
        by_ms
    }
}

impl TrackClock {
    /// The time of a frame that follows the last one as usual.
    fn steady_step(&mut self, timestamp_ms: u32) -> Option<i64> {
        let reading = self.reading.as_mut().filter(|_| self.is_steady)?;
        let step_ms = i64::from(timestamp_ms.wrapping_sub(reading.wrapped_ms));
        if step_ms > STEP_FORWARD_MAX_MS {
            return None;
        }
        reading.wrapped_ms = timestamp_ms;
        reading.unwrapped_ms += step_ms;
        let time_ms = reading.stamp_ms();
        self.last_ms = Some(time_ms);
        Some(time_ms)
    }
}

impl Reading {
    /// The same clock at another timestamp, the nearest one that wraps to it.
    fn at(self, timestamp_ms: u32) -> Self {
        let step_ms = i64::from(timestamp_ms.wrapping_sub(self.wrapped_ms) as i32);
        Self { wrapped_ms: timestamp_ms, unwrapped_ms: self.unwrapped_ms + step_ms, ..self }
    }

    /// Its time on the timeline.
    fn stamp_ms(self) -> i64 {
        self.unwrapped_ms + self.offset_ms
    }
}

#[cfg(test)]
mod tests;
