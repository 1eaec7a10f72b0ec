//! A playlist on its way to the node that goes on with it.

use thiserror::Error;

use super::{
    Listed, PartConfig, Playlist, PlaylistConfig, SegmentInfo, State, target_duration::TargetDuration,
};
use crate::hls::segment::SegmentPart;

/// Maximum segments of a window that is taken over: more than any setting lists.
pub const WINDOW_SEGMENTS_MAX: usize = 1_000;

/// A live playlist's segments and numbers, with which another node goes on where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The sequence number of the first segment that is not in it.
    pub next_sequence: u64,
    /// The discontinuity sequence number of the first segment, if that is no discontinuity itself.
    pub discontinuity_sequence: u64,
    /// The target duration, in seconds.
    pub target_s: u64,
    /// The target duration that the first segment of the playlist decided, in seconds.
    pub first_target_s: u64,
    /// The parts of segments, if they are listed.
    pub parts: Option<PartConfig>,
    /// The segments, oldest first.
    pub segments: Vec<WindowSegment>,
}

/// A segment of a [`Window`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSegment {
    /// The segment.
    pub info: SegmentInfo,
    /// Its parts, in order.
    pub parts: Vec<SegmentPart>,
}

/// The reason a playlist does not go on from a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WindowError {
    /// It has no segments, or too many.
    #[error("a window of {0} segments")]
    Size(usize),
    /// Its numbers are not those of one playlist.
    #[error("the sequence numbers of the window do not follow each other")]
    Numbers,
    /// It has no target duration.
    #[error("the window has no target duration")]
    Target,
    /// The nodes' settings differ. Players do not bear another PART-TARGET.
    #[error("the parts of the window have another target")]
    Parts,
}

impl Playlist {
    /// The playlist as it is, for another node to go on with; `None` before the first segment and after the end.
    pub fn window(&self) -> Option<Window> {
        if self.listed.is_empty() || self.state == State::Ended {
            return None;
        }
        let segment = |listed: &Listed| WindowSegment { info: listed.info, parts: listed.parts.clone() };
        Some(Window {
            next_sequence: self.next_sequence,
            discontinuity_sequence: self.discontinuity_sequence,
            target_s: self.target.as_s(),
            first_target_s: self.target.first_s(),
            parts: self.parts,
            segments: self.listed.iter().map(segment).collect(),
        })
    }

    /// Goes on where another node's playlist ended. The first numbers of `config` do not count.
    pub fn continuing(config: PlaylistConfig, window: Window) -> Result<Self, WindowError> {
        window.check(&config)?;
        let longest_ms = window.segments.iter().map(|segment| segment.info.duration_ms).sum();
        let listed = |WindowSegment { info, parts }| Listed { info, parts, longest_ms };
        Ok(Self {
            next_sequence: window.next_sequence,
            discontinuity_sequence: window.discontinuity_sequence,
            target: TargetDuration::resumed(window.target_s, window.first_target_s),
            parts: window.parts,
            listed: window.segments.into_iter().map(listed).collect(),
            ..Self::new(config)
        })
    }

    /// Returns whether a segment is listed, or left the playlist and has not [expired](Self::expired).
    pub fn keeps(&self, sequence: u64) -> bool {
        self.segments().any(|info| info.sequence == sequence)
            || self.gone.iter().any(|gone| gone.sequence == sequence)
    }

    /// The parts of a listed segment; none of any other.
    pub fn parts_of(&self, sequence: u64) -> &[SegmentPart] {
        let listed = self.listed.iter().find(|listed| listed.info.sequence == sequence);
        listed.map_or(&[], |listed| &listed.parts)
    }
}

impl Window {
    fn check(&self, config: &PlaylistConfig) -> Result<(), WindowError> {
        let size = self.segments.len();
        if size == 0 || size > WINDOW_SEGMENTS_MAX {
            return Err(WindowError::Size(size));
        }
        let first = self.next_sequence.checked_sub(size as u64).ok_or(WindowError::Numbers)?;
        let numbers = self.segments.iter().map(|segment| segment.info.sequence);
        if !numbers.eq(first..self.next_sequence) {
            return Err(WindowError::Numbers);
        }
        if self.target_s == 0 || self.first_target_s == 0 {
            return Err(WindowError::Target);
        }
        if self.parts.is_some() && self.parts != config.parts {
            return Err(WindowError::Parts);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hls::{
        container::Container,
        fmp4::container::Fmp4Container,
        playlist::{Detail, OpenInfo},
    };

    const PARTS: PartConfig = PartConfig { target_ms: 500, hold_back_ms: 1_500 };

    fn config(first_sequence: u64) -> PlaylistConfig {
        PlaylistConfig {
            format: Fmp4Container::FORMAT,
            window: 3,
            target_ms: 2_000,
            first_sequence,
            first_discontinuity_sequence: 7,
            parts: Some(PARTS),
        }
    }

    fn push(playlist: &mut Playlist, discontinuity: bool) {
        let open = OpenInfo {
            discontinuity,
            independent: true,
            program_date_time_ms: 1_795_384_800_000,
            init: Some(3),
        };
        let part = SegmentPart { duration_ms: 500, size_bytes: 47, independent: true };
        (0..4).for_each(|_| playlist.push_part(open, part));
        let info = SegmentInfo {
            sequence: playlist.next_sequence(),
            duration_ms: 2_000,
            discontinuity,
            independent: true,
            program_date_time_ms: open.program_date_time_ms,
            size_bytes: 188,
            init: open.init,
        };
        playlist.push(info, 0).unwrap();
        playlist.expired(1 << 40);
    }

    fn filled(count: usize) -> Playlist {
        let mut playlist = Playlist::new(config(41));
        (0..count).for_each(|at| push(&mut playlist, at == 0));
        playlist
    }

    #[test]
    fn the_next_node_lists_the_same_and_goes_on_with_the_same_numbers() {
        let mut before = filled(8);
        let mut after = Playlist::continuing(config(900), before.window().unwrap()).unwrap();
        for round in 0..10 {
            for detail in [Detail::Segments, Detail::Parts] {
                assert_eq!(after.render("", detail), before.render("", detail), "{round}");
            }
            let (is_first, sequence) = (round == 0, before.next_sequence());
            push(&mut before, is_first);
            push(&mut after, is_first);
            assert!(after.keeps(sequence) && !after.keeps(sequence + 1));
            assert_eq!(after.parts_of(sequence).len(), 4);
        }
        assert_eq!(after.last_discontinuity_sequence(), 9);
    }

    #[test]
    fn there_is_no_window_before_the_first_segment_and_after_the_end() {
        assert_eq!(Playlist::new(config(1)).window(), None);
        let mut ended = filled(3);
        ended.end();
        assert_eq!(ended.window(), None);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let window = filled(5).window().unwrap();
        let refused = |change: fn(&mut Window)| {
            let mut changed = window.clone();
            change(&mut changed);
            Playlist::continuing(config(1), changed).map(|_| ()).unwrap_err()
        };
        assert_eq!(refused(|window| window.segments.clear()), WindowError::Size(0));
        assert_eq!(refused(|window| window.next_sequence += 1), WindowError::Numbers);
        assert_eq!(refused(|window| window.next_sequence = 1), WindowError::Numbers);
        assert_eq!(refused(|window| window.segments.reverse()), WindowError::Numbers);
        assert_eq!(refused(|window| window.target_s = 0), WindowError::Target);
        let longer = PartConfig { target_ms: 600, ..PARTS };
        let other = PlaylistConfig { parts: Some(longer), ..config(1) };
        assert_eq!(Playlist::continuing(other, window).map(|_| ()), Err(WindowError::Parts));
    }
}
