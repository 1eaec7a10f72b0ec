//! A live playlist (RFC 8216): which segments it lists, how it reads, and how long those that left it must stay.

mod window;

use std::{collections::VecDeque, fmt::Write};

use thiserror::Error;

use super::{
    blocking_request::{BlockingRequest, DirectiveError},
    container::{InitSection, SegmentFormat},
    segment::SegmentPart,
    segment_name::{Piece, SegmentName},
};

pub use self::window::{WINDOW_SEGMENTS_MAX, Window, WindowError, WindowSegment};

/// The first segment may be this much shorter than later ones before the target duration has to be raised.
const HEADROOM_MS: u64 = 250;

/// A GOP that is this much shorter than the target counts as one of its length: timestamps are rounded.
const TOLERANCE_MS: u64 = 50;

/// Segments shorter than the target are listed beyond the window, but no more than so many windows.
const WINDOWS_MAX: usize = 4;

/// A target duration that was raised is lowered when no segment has needed it for so long, in milliseconds of media.
const CALM_MS: u64 = 60_000;

/// The most that leave the playlist for one that comes: viewers may be as far behind as an earlier target duration said.
const LEAVE_MAX: usize = 2;

/// What a playlist is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaylistConfig {
    /// The form of the segments.
    pub format: &'static SegmentFormat,
    /// How many segments are listed; at least 3 are.
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

/// What a playlist says of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartConfig {
    /// The longest part, in milliseconds.
    pub target_ms: u32,
    /// How far behind the end of the playlist players stay, in milliseconds (PART-HOLD-BACK).
    pub hold_back_ms: u32,
}

impl PartConfig {
    /// PART-TARGET is so much longer than parts are meant to be: timestamps are rounded.
    const SLACK_MS: u32 = 4;
    /// Parts of a segment but the last may be this much shorter, in percent of the target
    /// (draft-pantos-hls-rfc8216bis, section 4.4.4.9).
    const LEAST_PERCENT: u64 = 85;

    /// Parts of a length, and a hold-back that is three of them unless it is given.
    pub fn new(target_ms: u32, hold_back_ms: Option<u32>) -> Self {
        let default_ms = target_ms.saturating_add(Self::SLACK_MS).saturating_mul(3);
        Self { target_ms, hold_back_ms: hold_back_ms.unwrap_or(default_ms) }
    }

    /// PART-TARGET, in milliseconds.
    pub fn declared_ms(self) -> u32 {
        self.target_ms.saturating_add(Self::SLACK_MS)
    }

    /// Whether the frames of a stream make parts that are long enough, by those of a segment.
    fn fits(self, parts: &[SegmentPart]) -> bool {
        let target_ms = u64::from(self.declared_ms());
        let is_long = |part: &SegmentPart| part.duration_ms * 100 >= target_ms * Self::LEAST_PERCENT;
        parts.iter().rev().skip(1).all(is_long)
    }
}

/// A segment, as far as its playlist is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// One more than that of the segment before it.
    pub sequence: u64,
    /// Its duration.
    pub duration_ms: u64,
    /// It does not continue the segment before it.
    pub discontinuity: bool,
    /// It can be decoded without the segment before it.
    pub independent: bool,
    /// When its first frame was live: milliseconds since 1970, UTC.
    pub program_date_time_ms: u64,
    /// Its size.
    pub size_bytes: usize,
    /// The number of its initialisation section, if it needs one.
    pub init: Option<u64>,
}

/// A segment of which parts are listed, as far as it is known before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInfo {
    /// As in [`SegmentInfo`].
    pub discontinuity: bool,
    /// As in [`SegmentInfo`].
    pub independent: bool,
    /// As in [`SegmentInfo`].
    pub program_date_time_ms: u64,
    /// As in [`SegmentInfo`].
    pub init: Option<u64>,
}

/// The answer to a [`BlockingRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The playlist as it is.
    Ready,
    /// It does not list what is asked for yet.
    Hold,
}

/// Which of its two texts a playlist is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Segments.
    Segments,
    /// Segments and their parts.
    Parts,
}

/// Why a playlist does not take a segment.
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
///
/// The target duration is decided by the first segment: GOPs that are longer than the target make every segment longer,
/// and the first one tells. It is the nearest second to that segment and 250 ms more, as it also is what players wait
/// between two looks at the playlist and a third of what they keep between themselves and the live edge. RFC 8216
/// (section 6.2.1) forbids to change it and (section 4.3.3.1) forbids longer segments. Should a longer one come later, it
/// is raised, as players read it anew with every playlist, but refuse or stall on segments beyond it. It is lowered again
/// when none has needed it for a minute: every viewer who comes meanwhile starts three target durations behind.
#[derive(Debug, Clone)]
pub struct Playlist {
    config: PlaylistConfig,
    state: State,
    next_sequence: u64,
    discontinuity_sequence: u64,
    target_s: u64,
    /// The target duration that the first segment decided.
    first_target_s: u64,
    calm: Calm,
    listed: VecDeque<Listed>,
    gone: VecDeque<Gone>,
    /// The segment whose parts come.
    open: Option<OpenSegment>,
    /// `None` if there are none. Decided by the first segment, as players do not bear a change.
    parts: Option<PartConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    Ended,
}

#[derive(Debug, Clone)]
struct OpenSegment {
    info: OpenInfo,
    parts: Vec<SegmentPart>,
}

/// The segments since the last one that needed the target duration.
#[derive(Debug, Default, Clone)]
struct Calm {
    played_ms: u64,
    longest_s: u64,
}

#[derive(Debug, Clone)]
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
            target_s: 0,
            first_target_s: 0,
            calm: Calm::default(),
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
        self.raise_target(info.duration_ms);
        self.listed.push_back(Listed { info, parts, longest_ms: 0 });
        let left = std::iter::from_fn(|| self.remove_oldest(now_ms)).take(LEAVE_MAX).collect();
        self.lower_target(info.duration_ms);
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

    /// Whether parts are listed. Not before the first segment is.
    pub fn has_parts(&self) -> bool {
        self.parts.is_some() && !self.listed.is_empty()
    }

    /// Whether a request is answered now.
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

    /// Whether a part is about to be listed: it is the next one, or the one behind it.
    pub fn awaits_part(&self, sequence: u64, index: u32) -> bool {
        let (next, count) = (self.next_sequence, self.part_count() as u64);
        let is_near = (sequence == next && (count..=count + 1).contains(&index.into()))
            || (sequence == next.saturating_add(1) && index == 0);
        self.has_parts() && self.state == State::Live && is_near
    }

    /// Whether a part of the newest segment is asked for that it does not have.
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
        self.target_s
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
        let open = self.open.as_ref().filter(|_| parts.is_some());
        let mut text = String::with_capacity(200 + self.listed.len() * (100 + uri_prefix.len()));
        self.render_head(&mut text, first.info.sequence);
        if let Some(config) = parts {
            render_part_config(&mut text, config);
        }
        let mut writer = SegmentWriter { text, format: self.config.format, uri_prefix, init: None };
        let first_with_parts = self.first_with_parts().filter(|_| parts.is_some()).unwrap_or(u64::MAX);
        for Listed { info, parts, .. } in &self.listed {
            let parts = if info.sequence >= first_with_parts { &parts[..] } else { &[] };
            writer.segment(info, parts);
        }
        if let Some(open) = open {
            writer.head(&open.info);
            writer.parts(self.next_sequence, &open.parts);
        }
        if self.state == State::Ended {
            writer.text.push_str("#EXT-X-ENDLIST\n");
        } else if parts.is_some() {
            writer.hint(self.next_sequence, self.part_count());
        }
        Some(writer.text)
    }

    /// The text of a multivariant playlist (section 4.3.4) with this one, at `uri`, as its only variant; `None` before the
    /// first segment.
    pub fn render_multivariant(&self, init: &InitSection, uri: &str) -> Option<String> {
        /// Later segments may need more than those that are listed.
        const HEADROOM_PERCENT: u64 = 125;
        let bits_per_s = |info: &SegmentInfo| info.size_bytes as u64 * 8_000 / info.duration_ms.max(1);
        let peak = self.segments().map(bits_per_s).max()?.saturating_mul(HEADROOM_PERCENT) / 100;
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"{}\"",
            self.config.format.playlist_version,
            peak.max(1),
            init.codecs
        );
        // Writing to a String cannot fail.
        if let Some(size) = init.frame_size {
            let _ = write!(text, ",RESOLUTION={}x{}", size.width, size.height);
        }
        if let Some(rate) = init.frame_rate_milli {
            let _ = write!(text, ",FRAME-RATE={}.{:03}", rate / 1_000, rate % 1_000);
        }
        let _ = write!(text, "\n{uri}\n");
        Some(text)
    }

    /// The oldest segment whose parts are listed: those beyond three target durations from the end are of no use
    /// (draft-pantos-hls-rfc8216bis, section 6.2.2).
    fn first_with_parts(&self) -> Option<u64> {
        let mut behind_ms = 0_u64;
        let near = self.listed.iter().rev().take_while(|listed| {
            let is_near = behind_ms < self.target_s.saturating_mul(3_000);
            behind_ms = behind_ms.saturating_add(listed.info.duration_ms);
            is_near
        });
        near.last().map(|listed| listed.info.sequence)
    }

    fn render_head(&self, text: &mut String, media_sequence: u64) {
        let (target_s, discontinuity_sequence) = (self.target_s, self.discontinuity_sequence);
        let version = self.config.format.playlist_version;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{media_sequence}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}\n"
        );
        if self.segments().all(|info| info.independent) {
            text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
    }

    fn name(&self, sequence: u64) -> SegmentName {
        SegmentName::whole(sequence, self.config.format)
    }

    fn raise_target(&mut self, duration_ms: u64) {
        let needed_s = match self.target_s {
            0 => to_seconds(self.regular_ms(duration_ms).saturating_add(HEADROOM_MS)).max(1),
            _ => to_seconds(duration_ms),
        };
        self.target_s = self.target_s.max(needed_s);
        if self.first_target_s == 0 {
            self.first_target_s = self.target_s;
        }
    }

    fn lower_target(&mut self, last_ms: u64) {
        let needed_s = to_seconds(last_ms);
        if needed_s >= self.target_s || self.target_s == self.first_target_s {
            self.calm = Calm::default();
            return;
        }
        self.calm.played_ms = self.calm.played_ms.saturating_add(last_ms);
        self.calm.longest_s = self.calm.longest_s.max(needed_s);
        let listed_s = self.segments().map(|info| to_seconds(info.duration_ms)).max().unwrap_or(0);
        if self.calm.played_ms >= CALM_MS && listed_s < self.target_s {
            self.target_s = self.calm.longest_s.max(listed_s).max(self.first_target_s);
            self.calm = Calm::default();
        }
    }

    /// How long segments will be, told by the first one: it may be a single GOP, of which a regular segment has as many
    /// as reach the target.
    fn regular_ms(&self, first_ms: u64) -> u64 {
        let target_ms = u64::from(self.config.target_ms);
        let first_ms = first_ms.max(1);
        let gop_count = target_ms.saturating_sub(TOLERANCE_MS).div_ceil(first_ms).max(1);
        first_ms.saturating_mul(gop_count).max(target_ms)
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
        let is_long_enough = rest_ms >= self.target_s.saturating_mul(3_000);
        let is_over = self.listed.len() > window && is_long_enough;
        if !is_over && self.listed.len() <= window.saturating_mul(WINDOWS_MAX) {
            return None;
        }
        let Listed { info, longest_ms, .. } = self.listed.pop_front()?;
        self.discontinuity_sequence =
            self.discontinuity_sequence.saturating_add(u64::from(info.discontinuity));
        let stay_ms = info.duration_ms.saturating_add(longest_ms).max(self.target_s.saturating_mul(2_000));
        let last_until_ms = self.gone.back().map_or(0, |gone| gone.until_ms);
        let until_ms = now_ms.saturating_add(stay_ms).max(last_until_ms);
        self.gone.push_back(Gone { sequence: info.sequence, until_ms });
        Some(info)
    }
}

fn render_part_config(text: &mut String, config: PartConfig) {
    let seconds = |ms: u32| format!("{}.{:03}", ms / 1_000, ms % 1_000);
    let (hold_back, target) = (seconds(config.hold_back_ms), seconds(config.declared_ms()));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back}\n#EXT-X-PART-INF:PART-TARGET={target}\n"
    );
}

/// Writes segments one after the other. Writing to a String cannot fail.
struct SegmentWriter<'a> {
    text: String,
    format: &'static SegmentFormat,
    uri_prefix: &'a str,
    /// The initialisation section that counts so far.
    init: Option<u64>,
}

impl SegmentWriter<'_> {
    fn segment(&mut self, info: &SegmentInfo, parts: &[SegmentPart]) {
        let SegmentInfo { sequence, discontinuity, independent, program_date_time_ms, init, .. } = *info;
        self.head(&OpenInfo { discontinuity, independent, program_date_time_ms, init });
        self.parts(sequence, parts);
        let (whole_s, rest_ms) = (info.duration_ms / 1_000, info.duration_ms % 1_000);
        let name = self.address(sequence, Piece::Whole);
        let _ = write!(self.text, "#EXTINF:{whole_s}.{rest_ms:03},\n{name}\n");
    }

    /// What comes before a segment's first part.
    fn head(&mut self, info: &OpenInfo) {
        if info.discontinuity {
            self.text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(init) = info.init.filter(|init| info.discontinuity || self.init != Some(*init)) {
            let name = self.address(init, Piece::Init);
            let _ = writeln!(self.text, "#EXT-X-MAP:URI=\"{name}\"");
            self.init = Some(init);
        }
        self.text.push_str("#EXT-X-PROGRAM-DATE-TIME:");
        put_date_time(&mut self.text, info.program_date_time_ms);
        self.text.push('\n');
    }

    fn parts(&mut self, sequence: u64, parts: &[SegmentPart]) {
        for (index, part) in (0..).zip(parts) {
            let (whole_s, rest_ms) = (part.duration_ms / 1_000, part.duration_ms % 1_000);
            let name = self.address(sequence, Piece::Part(index));
            let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
            let _ = writeln!(
                self.text,
                "#EXT-X-PART:DURATION={whole_s}.{rest_ms:03},URI=\"{name}\"{independent}"
            );
        }
    }

    /// The part that comes next, unless its segment ends before it.
    fn hint(&mut self, sequence: u64, index: usize) {
        let name = self.address(sequence, Piece::Part(index as u32));
        let _ = writeln!(self.text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }

    fn address(&self, sequence: u64, piece: Piece) -> String {
        format!("{}{}", self.uri_prefix, SegmentName::whole(sequence, self.format).with(piece))
    }
}

/// The nearest whole second, as RFC 8216 compares durations with the target (section 4.3.3.1).
const fn to_seconds(duration_ms: u64) -> u64 {
    duration_ms.saturating_add(500) / 1_000
}

/// Milliseconds since 1970 as ISO 8601 in UTC.
fn put_date_time(text: &mut String, unix_ms: u64) {
    let (days, day_ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil_date(days);
    let (hour, minute) = (day_ms / 3_600_000, day_ms / 60_000 % 60);
    let (second, milli) = (day_ms / 1_000 % 60, day_ms % 1_000);
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
}

/// Year, month and day of a day since 1970 in the Gregorian calendar. Counting years from March puts the leap day last,
/// and with it every month's first day on one line of slope 153/5.
const fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = days + DAYS_FROM_0000_03_01;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hls::{container::Container, ts::container::TsContainer};

    fn config(first_sequence: u64) -> PlaylistConfig {
        PlaylistConfig {
            format: TsContainer::FORMAT,
            window: 6,
            target_ms: 2_000,
            first_sequence,
            first_discontinuity_sequence: 0,
            parts: None,
        }
    }

    fn playlist(first_sequence: u64) -> Playlist {
        Playlist::new(config(first_sequence))
    }

    fn info(sequence: u64, duration_ms: u64) -> SegmentInfo {
        SegmentInfo {
            sequence,
            duration_ms,
            discontinuity: false,
            independent: true,
            program_date_time_ms: 1_795_384_800_000 + sequence % 1_000 * 2_000,
            size_bytes: 188,
            init: None,
        }
    }

    fn filled(durations_ms: &[u64]) -> Playlist {
        let mut playlist = playlist(0);
        for (sequence, duration_ms) in durations_ms.iter().enumerate() {
            playlist.push(info(sequence as u64, *duration_ms), 0).unwrap();
        }
        playlist
    }

    #[test]
    fn a_live_playlist_reads_as_the_rfc_says() {
        let mut playlist = playlist(41);
        assert_eq!(playlist.render("", Detail::Segments), None);
        playlist.push(info(41, 2_000), 0).unwrap();
        playlist.push(SegmentInfo { discontinuity: true, ..info(42, 1_983) }, 0).unwrap();
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:41\n\
            #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-22T22:01:22.000Z\n#EXTINF:2.000,\nroom/seg-41.ts\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T22:01:24.000Z\n#EXTINF:1.983,\nroom/seg-42.ts\n";
        assert_eq!(playlist.render("room/", Detail::Segments).unwrap(), expected);
        playlist.end();
        assert_eq!(
            playlist.render("room/", Detail::Segments).unwrap(),
            format!("{expected}#EXT-X-ENDLIST\n")
        );
        assert_eq!(playlist.push(info(43, 1), 0), Err(PlaylistError::Ended));
    }

    #[test]
    fn the_target_is_decided_by_the_first_segment_and_raised_only_if_it_must() {
        assert_eq!(filled(&[2_000]).target_s(), 2);
        assert_eq!(filled(&[2_002, 1_960, 2_499]).target_s(), 2);
        assert_eq!(filled(&[2_300]).target_s(), 3);
        assert_eq!(filled(&[4_000, 4_000]).target_s(), 4);
        assert_eq!(filled(&[400]).target_s(), 2);
        assert_eq!(filled(&[1_000, 2_000]).target_s(), 2);
        assert_eq!(filled(&[1_500, 3_000]).target_s(), 3);
        assert_eq!(filled(&[0]).target_s(), 2);
        assert_eq!(filled(&[2_000, 2_500]).target_s(), 3);
        assert_eq!(filled(&[2_000, 10_000, 2_000]).target_s(), 10);
    }

    #[test]
    fn a_target_that_was_raised_is_lowered_after_a_minute_in_which_nothing_needed_it() {
        let mut playlist = filled(&[2_000, 10_000]);
        let targets: Vec<_> = (2..34)
            .map(|at| {
                playlist.push(info(at, if at == 20 { 3_000 } else { 2_000 }), 0).unwrap();
                playlist.target_s()
            })
            .collect();
        assert_eq!((targets[28], targets[29], targets[31]), (10, 3, 3));
        let listed: Vec<_> = (34..70)
            .map(|at| {
                playlist.push(info(at, 2_000), 0).unwrap();
                playlist.segments().count()
            })
            .collect();
        assert!(listed.windows(2).all(|pair| pair[1] + 1 >= pair[0]), "viewers further behind have a moment");
        assert_eq!((playlist.target_s(), playlist.segments().count()), (2, 6));
    }

    #[test]
    fn a_target_that_is_needed_again_and_again_stays() {
        let durations_ms: Vec<_> = (0..100).map(|at| if at % 12 == 5 { 8_000 } else { 2_000 }).collect();
        assert_eq!(filled(&durations_ms).target_s(), 8);
    }

    #[test]
    fn a_playlist_with_a_segment_that_depends_on_another_does_not_deny_it() {
        let mut playlist = playlist(0);
        playlist.push(SegmentInfo { independent: false, ..info(0, 2_000) }, 0).unwrap();
        assert!(!playlist.render("", Detail::Segments).unwrap().contains("INDEPENDENT"));
    }

    #[test]
    fn a_discontinuity_that_leaves_is_counted() {
        let mut playlist = playlist(0);
        for sequence in 0..8 {
            playlist.push(SegmentInfo { discontinuity: sequence == 1, ..info(sequence, 2_000) }, 0).unwrap();
        }
        let text = playlist.render("", Detail::Segments).unwrap();
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
        assert!(!text.contains("#EXT-X-DISCONTINUITY\n"));
    }

    #[test]
    fn a_segment_stays_for_its_playlist_s_duration_after_it_left() {
        let mut playlist = filled(&[2_000; 6]);
        let left = playlist.push(info(6, 2_000), 10_000).unwrap();
        assert_eq!(left, [info(0, 2_000)]);
        assert!(playlist.expired(10_000 + 13_999).is_empty());
        assert_eq!(playlist.expired(10_000 + 14_000), [0]);
        assert!(playlist.expired(u64::MAX).is_empty());
    }

    #[test]
    fn three_target_durations_stay_listed() {
        let mut playlist = filled(&[10_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
        let left: Vec<_> = (6..20).map(|at| playlist.push(info(at, 2_000), 0).unwrap().len()).collect();
        assert_eq!(left, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn sequence_numbers_have_no_gaps() {
        let mut playlist = playlist(7);
        let error = |expected, got| Err(PlaylistError::Sequence { expected, got });
        assert_eq!(playlist.push(info(0, 1), 0), error(7, 0));
        playlist.push(info(7, 2_000), 0).unwrap();
        assert_eq!(playlist.push(info(7, 2_000), 0), error(8, 7));
        assert_eq!(playlist.push(info(9, 2_000), 0), error(8, 9));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut text = String::new();
            put_date_time(&mut text, unix_ms);
            assert_eq!(text, expected);
        }
    }

    proptest! {
        #[test]
        fn what_a_player_relies_on_holds(
            segments in proptest::collection::vec((prop_oneof![0..12_000_u64, Just(2_000), any::<u64>()], any::<bool>()), 1..60),
            first_sequence in 0..u64::MAX / 2,
            window in 0..10_usize,
        ) {
            let mut playlist = Playlist::new(PlaylistConfig { window, first_discontinuity_sequence: 7, ..config(first_sequence) });
            let (mut last_media_sequence, mut left_count) = (0, 0);
            let mut discontinuities = Vec::new();
            for (at, (duration_ms, discontinuity)) in segments.iter().enumerate() {
                let sequence = first_sequence + at as u64;
                discontinuities.push(*discontinuity);
                let left = playlist.push(SegmentInfo { discontinuity: *discontinuity, ..info(sequence, *duration_ms) }, 0).unwrap();
                left_count += left.len();
                let listed: Vec<_> = playlist.segments().copied().collect();
                let media_sequence = listed[0].sequence;
                prop_assert_eq!(media_sequence, first_sequence + left_count as u64);
                prop_assert!(media_sequence >= last_media_sequence);
                prop_assert!(listed.iter().all(|info| to_seconds(info.duration_ms) <= playlist.target_s()));
                prop_assert!(listed.len() <= window.max(3) * WINDOWS_MAX);
                let counted = discontinuities[..left_count].iter().filter(|discontinuity| **discontinuity).count();
                prop_assert_eq!(playlist.discontinuity_sequence, 7 + counted as u64);
                let of_newest = discontinuities.iter().filter(|discontinuity| **discontinuity).count();
                prop_assert_eq!(playlist.last_discontinuity_sequence(), 7 + of_newest as u64);
                prop_assert!(playlist.render("", Detail::Segments).is_some());
                last_media_sequence = media_sequence;
            }
            prop_assert_eq!(playlist.expired(u64::MAX).len(), left_count);
        }

        #[test]
        fn even_segments_fill_the_window_exactly(duration_ms in 1_950..10_000_u64, count in 7..40_u64) {
            let playlist = filled(&vec![duration_ms; count as usize]);
            prop_assert_eq!(playlist.segments().count(), 6);
        }
    }
}
