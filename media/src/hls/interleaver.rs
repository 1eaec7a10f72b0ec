//! Puts the frames of two tracks into the order of their times.
//!
//! RTMP has each track in order, and nothing says how far one may be sent ahead of the other. MPEG-TS has one clock for
//! both, and nothing may arrive behind its own time (ISO/IEC 13818-1, section 2.4.2).

use std::{collections::VecDeque, convert::Infallible};

use serde::{Deserialize, Serialize};

use crate::upgrade::StateError;

/// The most that one track is waited for, in milliseconds: how far apart audio and video may be sent.
pub const SKEW_MAX_MS: i64 = 3_000;

/// A track that sends nothing for so long has paused, in milliseconds of the other track, on top of the longest silence that
/// is usual for it.
const PAUSE_MS: i64 = 1_000;

/// Maximum frames that wait, with the tags that they keep in memory. Beyond it, frames go out as they came.
const HELD_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The tracks that a segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Video,
    Audio,
}

/// Holds frames until nothing can come that belongs before them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Interleaver<T> {
    video: LaneState<T>,
    audio: LaneState<T>,
    arrivals: u64,
    /// The latest time that went out.
    released_ms: Option<i64>,
    kept_bytes: usize,
}

/// A frame that goes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Released<T> {
    pub lane: Lane,
    pub time_ms: i64,
    /// Its distance behind the frame that went out before it.
    pub late_ms: i64,
    pub item: T,
}

#[derive(Debug, Serialize, Deserialize)]
struct LaneState<T> {
    queue: VecDeque<Waiting<T>>,
    /// Frames will come, as their sequence header did.
    announced: bool,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    /// The other track's position when this one's last frame came.
    other_at_last_ms: Option<i64>,
    /// The longest that the other track goes on between two frames of this one. It is forgotten little by little.
    usual_silence_ms: i64,
}

/// The tracks that are not waited for.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Pauses {
    /// Video had frames, and audio goes on without it.
    pub(super) video_has_paused: bool,
    /// Audio has paused, or its sequence header came and nothing else.
    pub(super) audio_is_missing: bool,
    /// The time of the frame of video that waits for its turn.
    pub(super) next_video_ms: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Waiting<T> {
    arrival: u64,
    time_ms: i64,
    item: T,
}

impl Lane {
    const fn other(self) -> Self {
        match self {
            Lane::Video => Lane::Audio,
            Lane::Audio => Lane::Video,
        }
    }
}

impl<T> Interleaver<T> {
    pub(super) fn new() -> Self {
        Self {
            video: LaneState::new(),
            audio: LaneState::new(),
            arrivals: 0,
            released_ms: None,
            kept_bytes: 0,
        }
    }

    /// The track's sequence header came.
    pub(super) fn announce(&mut self, lane: Lane) {
        self.lane_mut(lane).announced = true;
    }

    /// Counts a tag with this body. Media that waits may keep it in memory.
    pub(super) fn note_tag(&mut self, body_bytes: usize) {
        let is_idle = self.video.queue.is_empty() && self.audio.queue.is_empty();
        let kept_bytes = if is_idle { 0 } else { self.kept_bytes };
        self.kept_bytes = kept_bytes.saturating_add(size_of::<Waiting<T>>().saturating_add(body_bytes));
    }

    /// Takes a frame. The times of a track do not go back.
    pub(super) fn push(&mut self, lane: Lane, time_ms: i64, item: T) {
        let other_ms = self.lane(lane.other()).last_ms;
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.lane_mut(lane).push(Waiting { arrival, time_ms, item }, other_ms);
    }

    /// The next frame, once its place is certain.
    pub(super) fn pop(&mut self) -> Option<Released<T>> {
        let lane = self.earliest()?;
        if self.must_wait(lane) && self.kept_bytes <= HELD_MAX_BYTES {
            return None;
        }
        self.release(lane)
    }

    /// The next frame, whatever may still come before it.
    pub(super) fn pop_at_once(&mut self) -> Option<Released<T>> {
        let lane = self.earliest()?;
        self.release(lane)
    }

    /// The tracks that the next frames come without.
    pub(super) fn pauses(&self) -> Pauses {
        Pauses {
            video_has_paused: self.has_paused(Lane::Video),
            audio_is_missing: self.is_missing(Lane::Audio),
            next_video_ms: self.video.queue.front().map(|head| head.time_ms),
        }
    }

    fn has_paused(&self, lane: Lane) -> bool {
        let state = self.lane(lane);
        state.queue.is_empty() && state.has_paused(self.lane(lane.other()).last_ms)
    }

    fn is_missing(&self, lane: Lane) -> bool {
        let (state, other) = (self.lane(lane), self.lane(lane.other()));
        self.has_paused(lane) || (state.announced && state.last_ms.is_none() && !state.may_still_begin(other))
    }

    /// The same with other items, for a state that holds plain data in their place.
    pub(super) fn map<'a, U>(&'a self, mut item: impl FnMut(&'a T) -> U) -> Interleaver<U> {
        let Ok(mapped) = self.try_map(|before| Ok::<_, Infallible>(item(before)));
        mapped
    }

    /// The same with items that may be refused.
    pub(super) fn try_map<'a, U, E>(
        &'a self,
        mut item: impl FnMut(&'a T) -> Result<U, E>,
    ) -> Result<Interleaver<U>, E> {
        Ok(Interleaver {
            video: self.video.try_map(&mut item)?,
            audio: self.audio.try_map(&mut item)?,
            arrivals: self.arrivals,
            released_ms: self.released_ms,
            kept_bytes: self.kept_bytes,
        })
    }

    /// Refuses values that it never has and with which its sums would overflow.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let usual = [&self.video, &self.audio].map(|lane| lane.usual_silence_ms);
        let is_usual = usual.iter().all(|silence_ms| (0..=SKEW_MAX_MS).contains(silence_ms));
        StateError::unless(
            is_usual && self.arrivals < u64::MAX / 2,
            "a segmenter",
            "its tracks have no such order",
        )
    }

    /// The next frames have other clocks. Empty it first.
    pub(super) fn reset(&mut self) {
        *self = Self { arrivals: self.arrivals, ..Self::new() };
    }

    fn lane(&self, lane: Lane) -> &LaneState<T> {
        match lane {
            Lane::Video => &self.video,
            Lane::Audio => &self.audio,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneState<T> {
        match lane {
            Lane::Video => &mut self.video,
            Lane::Audio => &mut self.audio,
        }
    }

    /// The track with the earliest frame; of frames at one time, the one that came first.
    fn earliest(&self) -> Option<Lane> {
        let place = |lane: &LaneState<T>| lane.queue.front().map(|head| (head.time_ms, head.arrival));
        match (place(&self.video), place(&self.audio)) {
            (Some(video), Some(audio)) => Some(if video < audio { Lane::Video } else { Lane::Audio }),
            (Some(_), None) => Some(Lane::Video),
            (None, Some(_)) => Some(Lane::Audio),
            (None, None) => None,
        }
    }

    fn must_wait(&self, lane: Lane) -> bool {
        let (own, other) = (self.lane(lane), self.lane(lane.other()));
        let Some(head) = own.queue.front() else { return false };
        other.queue.is_empty() && other.is_awaited(head.time_ms, own)
    }

    fn release(&mut self, lane: Lane) -> Option<Released<T>> {
        let Waiting { time_ms, item, .. } = self.lane_mut(lane).queue.pop_front()?;
        let released_ms = self.released_ms.map_or(time_ms, |released_ms| released_ms.max(time_ms));
        self.released_ms = Some(released_ms);
        Some(Released { lane, time_ms, late_ms: released_ms.saturating_sub(time_ms), item })
    }
}

impl<T> LaneState<T> {
    const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            announced: false,
            first_ms: None,
            last_ms: None,
            other_at_last_ms: None,
            usual_silence_ms: 0,
        }
    }

    fn try_map<'a, U, E>(&'a self, item: &mut impl FnMut(&'a T) -> Result<U, E>) -> Result<LaneState<U>, E> {
        let mut waiting = |waiting: &'a Waiting<T>| {
            let Waiting { arrival, time_ms, item: before } = waiting;
            Ok(Waiting { arrival: *arrival, time_ms: *time_ms, item: item(before)? })
        };
        Ok(LaneState {
            queue: self.queue.iter().map(&mut waiting).collect::<Result<_, E>>()?,
            announced: self.announced,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            other_at_last_ms: self.other_at_last_ms,
            usual_silence_ms: self.usual_silence_ms,
        })
    }

    fn push(&mut self, waiting: Waiting<T>, other_ms: Option<i64>) {
        let silence_ms = self.silence_ms(other_ms);
        self.usual_silence_ms -= self.usual_silence_ms / 64;
        if silence_ms <= SKEW_MAX_MS {
            self.usual_silence_ms = self.usual_silence_ms.max(silence_ms);
        }
        self.first_ms.get_or_insert(waiting.time_ms);
        self.last_ms = Some(waiting.time_ms);
        self.other_at_last_ms = other_ms;
        self.queue.push_back(waiting);
    }

    /// The distance that the other track has come since the last frame of this one.
    fn silence_ms(&self, other_ms: Option<i64>) -> i64 {
        let since_ms = self.other_at_last_ms.or(self.last_ms);
        other_ms.zip(since_ms).map_or(0, |(other_ms, since_ms)| other_ms.saturating_sub(since_ms))
    }

    fn has_paused(&self, other_ms: Option<i64>) -> bool {
        self.last_ms.is_some() && self.silence_ms(other_ms) > PAUSE_MS + self.usual_silence_ms
    }

    /// Returns whether a track that has not begun may only be behind the other one.
    fn may_still_begin(&self, other: &Self) -> bool {
        let goes_on_ms =
            other.last_ms.zip(other.first_ms).map(|(last_ms, first_ms)| last_ms.saturating_sub(first_ms));
        goes_on_ms.is_none_or(|goes_on_ms| goes_on_ms <= SKEW_MAX_MS)
    }

    /// Returns whether a frame of this track may come that belongs before `head_ms` of the other one.
    fn is_awaited(&self, head_ms: i64, other: &Self) -> bool {
        match (self.last_ms, other.last_ms) {
            (Some(last_ms), Some(other_ms)) => {
                head_ms > last_ms
                    && other_ms.saturating_sub(last_ms) <= SKEW_MAX_MS
                    && !self.has_paused(Some(other_ms))
            }
            (None, Some(_)) => self.announced && self.may_still_begin(other),
            (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests;
