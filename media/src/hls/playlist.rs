//! A live playlist (RFC 8216): which segments it lists, how it reads, and how long those that left it must stay.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    entry::{OpenInfo, SegmentInfo},
    part_config::PartConfig,
    upgrade::PlaylistSnapshot,
    window::{WINDOW_SEGMENTS_MAX, Window, WindowError, WindowSegment},
};
use self::{
    target_duration::TargetDuration,
    text::{Head, TextWriter, multivariant},
};
use super::{
    blocking_request::{BlockingRequest, DirectiveError},
    container::{InitSection, SegmentFormat},
    segment::SegmentPart,
    segment_name::SegmentName,
};

mod date_time;
mod entry;
mod part_config;
mod target_duration;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod upgrade;
mod window;

/// Segments shorter than the target are listed beyond the window, but no more than so many windows.
const WINDOWS_MAX: usize = 4;

/// The most that leave the playlist for one that comes: viewers may be as far behind as an earlier target duration said.
const LEAVE_MAX: usize = 2;

/// The settings of a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaylistConfig {
    /// The form of the segments.
    pub format: &'static SegmentFormat,
    /// Number of segments that are listed; at least 3.
    pub window: usize,
    /// The segmenter's target, in milliseconds.
    pub target_ms: u32,
    /// The sequence number of the first segment. A playlist that takes over from another one goes on from there.
    pub first_sequence: u64,
    /// The discontinuity sequence number of the first segment, if that is no discontinuity itself (RFC 8216, section
    /// 4.3.3.3). A playlist that takes over from another one goes on from there.
    pub first_discontinuity_sequence: u64,
    /// The parts of segments, if there are any.
    pub parts: Option<PartConfig>,
}

/// The answer to a [`BlockingRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The playlist as it is.
    Ready,
    /// It does not list what is asked for yet.
    Hold,
}

/// The text of a playlist that is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Segments.
    Segments,
    /// Segments and their parts.
    Parts,
}

/// The reason a playlist does not take a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlaylistError {
    /// Sequence numbers have no gaps (RFC 8216, section 3).
    #[error("segment {got} was pushed where {expected} belongs")]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A playlist with an end gets no more segments (RFC 8216, section 6.2.1).
    #[error("the playlist has ended")]
    Ended,
}

/// The playlist of one stream.
#[derive(Debug, Clone)]
pub struct Playlist {
    config: PlaylistConfig,
    state: State,
    next_sequence: u64,
    discontinuity_sequence: u64,
    target: TargetDuration,
    listed: VecDeque<Listed>,
    gone: VecDeque<Gone>,
    /// The segment whose parts come.
    open: Option<OpenSegment>,
    /// `None` if there are none. Decided by the first segment, as players do not bear a change.
    parts: Option<PartConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Live,
    Ended,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenSegment {
    info: OpenInfo,
    parts: Vec<SegmentPart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    info: SegmentInfo,
    parts: Vec<SegmentPart>,
    /// The longest playlist that listed it.
    longest_ms: u64,
}

#[derive(Debug, Clone)]
struct Gone {
    sequence: u64,
    until_ms: u64,
}

impl Playlist {
    /// A playlist without segments.
    pub fn new(config: PlaylistConfig) -> Self {
        Self {
            config,
            state: State::Live,
            next_sequence: config.first_sequence,
            discontinuity_sequence: config.first_discontinuity_sequence,
            target: TargetDuration::default(),
            listed: VecDeque::new(),
            gone: VecDeque::new(),
            open: None,
            parts: config.parts,
        }
    }

    /// Lists a segment. Returns those that left the playlist for it, oldest first; they must stay available until
    /// [`expired`](Self::expired) names them. `now_ms` is of any clock that does not go back, the same for both.
    pub fn push(&mut self, info: SegmentInfo, now_ms: u64) -> Result<Vec<SegmentInfo>, PlaylistError> {
        if self.state == State::Ended {
            return Err(PlaylistError::Ended);
        }
        if info.sequence != self.next_sequence {
            return Err(PlaylistError::Sequence { expected: self.next_sequence, got: info.sequence });
        }
        self.next_sequence = self.next_sequence.saturating_add(1);
        let parts = self.open.take().map(|open| open.parts).unwrap_or_default();
        if self.listed.is_empty() {
            self.parts = self.parts.filter(|config| config.fits(&parts));
        }
        self.target.raise(info.duration_ms, self.config.target_ms.into());
        self.listed.push_back(Listed { info, parts, longest_ms: 0 });
        let left = std::iter::from_fn(|| self.remove_oldest(now_ms)).take(LEAVE_MAX).collect();
        let longest_ms = self.segments().map(|info| info.duration_ms).max().unwrap_or(0);
        self.target.lower(info.duration_ms, longest_ms);
        let duration_ms = self.duration_ms();
        self.listed.iter_mut().for_each(|listed| listed.longest_ms = listed.longest_ms.max(duration_ms));
        Ok(left)
    }

    /// Lists a part of the next segment; `info` counts with the first of them. The last one comes before the segment as well.
    pub fn push_part(&mut self, info: OpenInfo, part: SegmentPart) {
        if self.parts.is_some() && self.state == State::Live {
            self.open.get_or_insert(OpenSegment { info, parts: Vec::new() }).parts.push(part);
        }
    }

    /// The number of parts of the next segment.
    pub fn part_count(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.parts.len())
    }

    /// Returns whether parts are listed. Not before the first segment is.
    pub fn has_parts(&self) -> bool {
        self.parts.is_some() && !self.listed.is_empty()
    }

    /// Returns whether a request is answered now.
    pub fn reload(&self, request: BlockingRequest) -> Result<Reload, DirectiveError> {
        let (BlockingRequest { sequence, part }, Some(config)) = (request, self.parts) else {
            return Ok(Reload::Ready);
        };
        if self.state == State::Ended || sequence < self.next_sequence && !self.is_behind_last_part(request) {
            return Ok(Reload::Ready);
        }
        let ahead_max =
            if config.target_ms < 1_000 { 3_000_u32.div_ceil(config.target_ms.max(1)) } else { 3 };
        let part_count = self.part_count() as u64;
        let is_open = sequence == self.next_sequence;
        let reached = if is_open { part_count } else { 0 };
        let is_far_part = part.is_some_and(|part| u64::from(part) >= reached + u64::from(ahead_max));
        if sequence > self.next_sequence.saturating_add(1) || (sequence >= self.next_sequence && is_far_part)
        {
            return Err(DirectiveError::TooFar);
        }
        let is_listed = match part {
            Some(part) if is_open => u64::from(part) < part_count,
            // It means the first part of the segment that follows.
            _ => sequence < self.next_sequence && part_count > 0,
        };
        Ok(if is_listed { Reload::Ready } else { Reload::Hold })
    }

    /// Returns whether a part is about to be listed: it is the next one, or the one behind it.
    pub fn awaits_part(&self, sequence: u64, index: u32) -> bool {
        let (next, count) = (self.next_sequence, self.part_count() as u64);
        let is_near = (sequence == next && (count..=count + 1).contains(&index.into()))
            || (sequence == next.saturating_add(1) && index == 0);
        self.has_parts() && self.state == State::Live && is_near
    }

    /// Returns whether a part of the newest segment is asked for that it does not have.
    fn is_behind_last_part(&self, BlockingRequest { sequence, part }: BlockingRequest) -> bool {
        let newest = self.listed.back().filter(|newest| newest.info.sequence == sequence);
        newest.zip(part).is_some_and(|(newest, part)| part as usize >= newest.parts.len())
    }

    /// No more segments will come.
    pub fn end(&mut self) {
        self.state = State::Ended;
        self.open = None;
    }

    /// The sequence number that the next segment must have.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The name of the segment that the next one will be.
    pub fn next_name(&self) -> SegmentName {
        self.name(self.next_sequence)
    }

    /// The discontinuity sequence number of the newest segment.
    pub fn last_discontinuity_sequence(&self) -> u64 {
        let listed = self.segments().filter(|info| info.discontinuity).count() as u64;
        self.discontinuity_sequence.saturating_add(listed)
    }

    /// The target duration in seconds; 0 before the first segment.
    pub fn target_s(&self) -> u64 {
        self.target.as_s()
    }

    /// The listed segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.listed.iter().map(|listed| &listed.info)
    }

    /// The segments that left the playlist so long ago that no player may ask for them: two target durations, and its own
    /// duration and that of the longest playlist with it (RFC 8216, section 6.2.2). Each is named once. Call it after
    /// each [`push`](Self::push), or what it would name piles up.
    pub fn expired(&mut self, now_ms: u64) -> Vec<u64> {
        let count = self.gone.partition_point(|gone| gone.until_ms <= now_ms);
        self.gone.drain(..count).map(|gone| gone.sequence).collect()
    }

    /// The playlist's text (section 4.3), with `uri_prefix` before each segment's name; `None` before the first segment,
    /// as there is no target duration yet.
    pub fn render(&self, uri_prefix: &str, detail: Detail) -> Option<String> {
        let first = self.listed.front()?;
        let parts = self.parts.filter(|_| detail == Detail::Parts);
        let size_bytes = 200 + self.listed.len() * (100 + uri_prefix.len());
        let mut writer = TextWriter::new(self.config.format, uri_prefix, size_bytes);
        writer.head(&Head {
            target_s: self.target.as_s(),
            media_sequence: first.info.sequence,
            discontinuity_sequence: self.discontinuity_sequence,
            independent: self.segments().all(|info| info.independent),
            parts,
        });
        let first_with_parts = self.first_with_parts().filter(|_| parts.is_some()).unwrap_or(u64::MAX);
        for Listed { info, parts, .. } in &self.listed {
            let parts = if info.sequence >= first_with_parts { &parts[..] } else { &[] };
            writer.segment(info, parts);
        }
        if let Some(open) = self.open.as_ref().filter(|_| parts.is_some()) {
            writer.open_segment(self.next_sequence, &open.info, &open.parts);
        }
        if self.state == State::Ended {
            writer.end();
        } else if parts.is_some() {
            writer.hint(self.next_sequence, self.part_count());
        }
        Some(writer.finish())
    }

    /// The text of a multivariant playlist (section 4.3.4) with this one, at `uri`, as its only variant; `None` before the
    /// first segment.
    pub fn render_multivariant(&self, init: &InitSection, uri: &str) -> Option<String> {
        /// Later segments may need more than those that are listed.
        const HEADROOM_PERCENT: u64 = 125;
        let bits_per_s = |info: &SegmentInfo| info.size_bytes as u64 * 8_000 / info.duration_ms.max(1);
        let peak = self.segments().map(bits_per_s).max()?.saturating_mul(HEADROOM_PERCENT) / 100;
        Some(multivariant(self.config.format.playlist_version, peak.max(1), init, uri))
    }

    /// The oldest segment whose parts are listed: those beyond three target durations from the end are of no use
    /// (draft-pantos-hls-rfc8216bis, section 6.2.2).
    fn first_with_parts(&self) -> Option<u64> {
        let mut behind_ms = 0_u64;
        let near = self.listed.iter().rev().take_while(|listed| {
            let is_near = behind_ms < self.target.times_ms(3);
            behind_ms = behind_ms.saturating_add(listed.info.duration_ms);
            is_near
        });
        near.last().map(|listed| listed.info.sequence)
    }

    fn name(&self, sequence: u64) -> SegmentName {
        SegmentName::whole(sequence, self.config.format)
    }

    fn duration_ms(&self) -> u64 {
        self.segments().fold(0, |sum_ms, info| info.duration_ms.saturating_add(sum_ms))
    }

    /// Takes the oldest segment out, if enough is left without it: the window, and three target durations (RFC 8216,
    /// section 6.2.2).
    fn remove_oldest(&mut self, now_ms: u64) -> Option<SegmentInfo> {
        let window = self.config.window.max(3);
        let oldest = self.listed.front()?;
        let rest_ms = self.duration_ms().saturating_sub(oldest.info.duration_ms);
        let is_long_enough = rest_ms >= self.target.times_ms(3);
        let is_over = self.listed.len() > window && is_long_enough;
        if !is_over && self.listed.len() <= window.saturating_mul(WINDOWS_MAX) {
            return None;
        }
        let Listed { info, longest_ms, .. } = self.listed.pop_front()?;
        self.discontinuity_sequence =
            self.discontinuity_sequence.saturating_add(u64::from(info.discontinuity));
        let stay_ms = info.duration_ms.saturating_add(longest_ms).max(self.target.times_ms(2));
        let last_until_ms = self.gone.back().map_or(0, |gone| gone.until_ms);
        let until_ms = now_ms.saturating_add(stay_ms).max(last_until_ms);
        self.gone.push_back(Gone { sequence: info.sequence, until_ms });
        Some(info)
    }
}

#[cfg(test)]
mod tests;
