//! The places where viewers may begin with a stream's video.

use serde::{Deserialize, Serialize};

use crate::upgrade::{StateError, check_media_time};

/// Without keyframes, decoding may as well begin anywhere; so often, in milliseconds, the stream offers it.
pub const ENTRY_INTERVAL_MS: i64 = 1_000;

/// The use of a frame of video to a decoder that has seen none before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Decoding can start at it.
    Keyframe,
    /// Decoding that starts at it is right after a while.
    RecoveryPoint,
    /// It needs earlier frames.
    Inter,
}

/// A decision about a frame of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Viewers may begin at it.
    Here,
    /// Only viewers who have begun get it.
    Earlier,
    /// It is left out: it refers to frames that never came.
    NotYet,
}

/// The course of a stream's keyframes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VideoEntry {
    /// The publisher's first one has yet to come. Encoders that reconnect go on in the middle of a GOP.
    Waiting {
        /// The time of the first frame that came instead.
        since_ms: Option<i64>,
        /// Frames that were left out.
        dropped_frames: u64,
    },
    /// The first frame comes from another node, which begins where its own viewers would.
    Joining,
    /// Now and then, as usual.
    Keyframes {
        /// The time of the last one.
        last_ms: i64,
        /// More came since than is kept for viewers who join.
        is_outgrown: bool,
    },
    /// Not for longer than one waits for them: encoders with intra refresh send one, then none.
    Anywhere {
        /// The last time at which viewers could begin.
        last_ms: i64,
        /// There are recovery points to begin at.
        recovers: bool,
    },
}

/// The limits of a stream without keyframes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryLimits {
    /// The longest wait for a keyframe before viewers begin without one, in milliseconds.
    pub keyframe_wait_ms: i64,
    /// GOPs are cached for viewers who join: while the open one is cached, viewers begin at its keyframe, however old it is.
    pub keeps_gops: bool,
}

impl Default for EntryLimits {
    fn default() -> Self {
        Self { keyframe_wait_ms: 15_000, keeps_gops: true }
    }
}

/// A change that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryChange {
    /// The first keyframe came, behind this many frames that were left out.
    FirstKeyframe {
        /// Their number.
        dropped_frames: u64,
    },
    /// Viewers begin without a keyframe from here on.
    WithoutKeyframes,
    /// Keyframes come again.
    KeyframesAgain,
}

impl Default for VideoEntry {
    fn default() -> Self {
        Self::Waiting { since_ms: None, dropped_frames: 0 }
    }
}

impl VideoEntry {
    /// Decides about the next frame.
    pub fn next(
        &mut self,
        kind: FrameKind,
        time_ms: i64,
        limits: EntryLimits,
    ) -> (Entry, Option<EntryChange>) {
        let wait_ms = limits.keyframe_wait_ms;
        if kind == FrameKind::Keyframe {
            return (Entry::Here, self.keyframe(time_ms));
        }
        match self {
            Self::Waiting { since_ms, dropped_frames } => {
                if !has_passed(*since_ms.get_or_insert(time_ms), time_ms, wait_ms) {
                    *dropped_frames += 1;
                    return (Entry::NotYet, None);
                }
            }
            Self::Joining => {}
            Self::Keyframes { last_ms, is_outgrown } => {
                let is_kept = limits.keeps_gops && !*is_outgrown;
                if is_kept || !has_passed(*last_ms, time_ms, wait_ms) {
                    return (Entry::Earlier, None);
                }
            }
            Self::Anywhere { last_ms, recovers } => {
                return (next_anywhere(last_ms, recovers, kind, time_ms, wait_ms), None);
            }
        }
        *self = Self::Anywhere { last_ms: time_ms, recovers: kind == FrameKind::RecoveryPoint };
        (Entry::Here, Some(EntryChange::WithoutKeyframes))
    }

    /// Notes that what comes next was chosen by another node for a viewer who joins. It has waited for a keyframe already, and
    /// to wait again would double the time.
    pub fn join(&mut self) {
        if matches!(self, Self::Waiting { since_ms: None, .. }) {
            *self = Self::Joining;
        }
    }

    /// Notes that more came since the last keyframe than is kept.
    pub fn outgrow(&mut self) {
        if let Self::Keyframes { is_outgrown, .. } = self {
            *is_outgrown = true;
        }
    }

    /// Returns the time of the last keyframe, while keyframes come.
    pub fn last_keyframe_ms(&self) -> Option<i64> {
        match self {
            Self::Keyframes { last_ms, .. } => Some(*last_ms),
            Self::Waiting { .. } | Self::Joining | Self::Anywhere { .. } => None,
        }
    }

    /// Returns whether recovery points make a difference.
    pub fn wants_recovery_points(&self) -> bool {
        !matches!(self, Self::Keyframes { is_outgrown: false, .. })
    }

    /// Returns whether viewers begin without a keyframe.
    pub fn is_anywhere(&self) -> bool {
        matches!(self, Self::Anywhere { .. })
    }

    /// Returns whether a viewer who joins now has to wait for a keyframe that may be long in coming.
    pub fn keeps_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Keyframes { is_outgrown: true, .. })
    }

    /// Refuses one that no stream comes to.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        const PART: &str = "a video entry";
        const FRAMES_MAX: u64 = u32::MAX as u64;
        match *self {
            Self::Waiting { since_ms, dropped_frames } => {
                StateError::unless(dropped_frames <= FRAMES_MAX, PART, "a count is too high")?;
                check_media_time(since_ms.unwrap_or(0), PART)
            }
            Self::Joining => Ok(()),
            Self::Keyframes { last_ms, .. } | Self::Anywhere { last_ms, .. } => {
                check_media_time(last_ms, PART)
            }
        }
    }

    fn keyframe(&mut self, time_ms: i64) -> Option<EntryChange> {
        let before = std::mem::replace(self, Self::Keyframes { last_ms: time_ms, is_outgrown: false });
        match before {
            Self::Waiting { dropped_frames: 0, .. } | Self::Joining | Self::Keyframes { .. } => None,
            Self::Waiting { dropped_frames, .. } => Some(EntryChange::FirstKeyframe { dropped_frames }),
            Self::Anywhere { .. } => Some(EntryChange::KeyframesAgain),
        }
    }
}

fn next_anywhere(
    last_ms: &mut i64,
    recovers: &mut bool,
    kind: FrameKind,
    time_ms: i64,
    wait_ms: i64,
) -> Entry {
    let is_recovery_point = kind == FrameKind::RecoveryPoint;
    let interval_ms = if *recovers { wait_ms } else { ENTRY_INTERVAL_MS };
    if !is_recovery_point && !has_passed(*last_ms, time_ms, interval_ms) {
        return Entry::Earlier;
    }
    (*last_ms, *recovers) = (time_ms, is_recovery_point);
    Entry::Here
}

/// Returns whether so much has passed. A time that went back is of another timeline.
fn has_passed(since_ms: i64, time_ms: i64, duration_ms: i64) -> bool {
    time_ms < since_ms || time_ms - since_ms >= duration_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EntryLimits = EntryLimits { keyframe_wait_ms: 10_000, keeps_gops: true };

    /// Frames each 100 ms, a letter each: `K`eyframe, `R`ecovery point, `p`.
    fn entries(entry: &mut VideoEntry, from_ms: i64, frames: &str) -> (String, Vec<EntryChange>) {
        entries_with(LIMITS, entry, from_ms, frames)
    }

    fn entries_with(
        limits: EntryLimits,
        entry: &mut VideoEntry,
        from_ms: i64,
        frames: &str,
    ) -> (String, Vec<EntryChange>) {
        let mut changes = Vec::new();
        let entries = frames.chars().zip((from_ms..).step_by(100)).map(|(letter, time_ms)| {
            let kind = match letter {
                'K' => FrameKind::Keyframe,
                'R' => FrameKind::RecoveryPoint,
                _ => FrameKind::Inter,
            };
            let (found, change) = entry.next(kind, time_ms, limits);
            changes.extend(change);
            match found {
                Entry::Here => '!',
                Entry::Earlier => '.',
                Entry::NotYet => '-',
            }
        });
        (entries.collect(), changes)
    }

    fn seconds(count: usize) -> String {
        "p".repeat(count * 10)
    }

    #[test]
    fn a_publisher_that_begins_within_a_gop_is_waited_for() {
        let mut entry = VideoEntry::default();
        assert!(entry.keeps_waiting());
        let (found, changes) = entries(&mut entry, 0, "ppRpKppK");
        assert_eq!(found, "----!..!");
        assert_eq!(changes, [EntryChange::FirstKeyframe { dropped_frames: 4 }]);
    }

    #[test]
    fn a_publisher_without_any_keyframe_is_not_waited_for_forever() {
        let mut entry = VideoEntry::default();
        let (found, changes) = entries(&mut entry, 0, &seconds(12));
        assert_eq!(found.find('!'), Some(100));
        assert!(found[..100].chars().all(|step| step == '-'));
        assert_eq!(changes, [EntryChange::WithoutKeyframes]);
    }

    #[test]
    fn another_node_s_stream_begins_with_its_first_frame() {
        let mut entry = VideoEntry::default();
        entry.join();
        let (found, changes) = entries(&mut entry, 0, &format!("p{}Kp", seconds(2)));
        assert_eq!(found.match_indices('!').map(|(at, _)| at).collect::<Vec<_>>(), [0, 10, 20, 21]);
        assert_eq!(changes, [EntryChange::WithoutKeyframes, EntryChange::KeyframesAgain]);
        let mut entry = VideoEntry::default();
        entry.join();
        assert_eq!(entries(&mut entry, 0, "Kpp"), ("!..".to_owned(), vec![]));
        // The same publication, on a new connection.
        entry.join();
        assert_eq!(entries(&mut entry, 300, "pp").0, "..");
    }

    #[test]
    fn a_long_gop_that_is_kept_is_begun_at_its_keyframe() {
        let mut entry = VideoEntry::default();
        let (found, changes) = entries(&mut entry, 0, &format!("K{}", seconds(60)));
        assert_eq!((found.matches('!').count(), changes.len()), (1, 0));
        assert!(!entry.keeps_waiting());
    }

    #[test]
    fn one_that_is_not_kept_is_begun_once_a_second_when_its_keyframe_is_old() {
        let mut entry = VideoEntry::default();
        entries(&mut entry, 0, "Kp");
        entry.outgrow();
        assert!(entry.keeps_waiting());
        let (found, changes) = entries(&mut entry, 200, &seconds(12));
        let found: Vec<_> = found.match_indices('!').map(|(at, _)| at).collect();
        assert_eq!(found, [98, 108, 118]);
        assert_eq!(changes, [EntryChange::WithoutKeyframes]);
        assert!(entry.is_anywhere() && !entry.keeps_waiting());
        let (found, changes) = entries(&mut entry, 20_000, &format!("K{}", seconds(12)));
        assert_eq!(found.matches('!').count(), 1);
        assert_eq!(changes, [EntryChange::KeyframesAgain]);
    }

    #[test]
    fn where_nothing_is_kept_the_age_of_the_keyframe_counts_alone() {
        let limits = EntryLimits { keeps_gops: false, ..LIMITS };
        let mut entry = VideoEntry::default();
        let (found, _) = entries_with(limits, &mut entry, 0, &format!("K{}", seconds(12)));
        assert_eq!(found.match_indices('!').map(|(at, _)| at).collect::<Vec<_>>(), [0, 100, 110, 120]);
        assert!(!VideoEntry::Keyframes { last_ms: 0, is_outgrown: false }.keeps_waiting());
    }

    #[test]
    fn recovery_points_are_preferred_to_other_frames() {
        let mut entry = VideoEntry::default();
        entries(&mut entry, 0, "K");
        entry.outgrow();
        let (found, _) = entries(&mut entry, 20_000, &format!("R{}R{}R", seconds(3), seconds(3)));
        let found: Vec<_> = found.match_indices('!').map(|(at, _)| at).collect();
        assert_eq!(found, [0, 31, 62]);
        let (found, _) = entries(&mut entry, 30_000, &seconds(12));
        assert_eq!(found.find('!'), Some(62), "they have stopped as well");
    }

    #[test]
    fn a_timeline_that_starts_over_does_not_stop_anything() {
        let mut entry = VideoEntry::Anywhere { last_ms: 2_000_000_000, recovers: false };
        assert_eq!(entries(&mut entry, 500, "pp").0, "!.");
    }
}
