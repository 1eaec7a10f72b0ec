//! A playlist, for the process that goes on with it after an upgrade.

use serde::{Deserialize, Serialize};

use super::{
    Gone, Listed, OpenSegment, PartConfig, Playlist, PlaylistConfig, State, target_duration::TargetDuration,
};
use crate::{hls::container::SegmentFormat, upgrade::StateError};

const PART: &str = "a playlist";

/// A playlist as plain data. Unlike a [`Window`](super::Window), it goes on with the same clients: nothing of it is new to them.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlaylistSnapshot {
    window: usize,
    target_ms: u32,
    first_sequence: u64,
    first_discontinuity_sequence: u64,
    configured_parts: Option<PartConfig>,
    state: State,
    next_sequence: u64,
    discontinuity_sequence: u64,
    target: TargetDuration,
    listed: Vec<Listed>,
    /// Segments that left the playlist, and for how long they stay, in milliseconds.
    gone: Vec<(u64, u64)>,
    open: Option<OpenSegment>,
    parts: Option<PartConfig>,
}

impl Playlist {
    /// The playlist as plain data, at `now_ms` of the clock of [`push`](Self::push): another process has another clock. Its
    /// settings are in it, as players do not bear a change of them.
    pub fn snapshot(&self, now_ms: u64) -> PlaylistSnapshot {
        let left = |gone: &Gone| (gone.sequence, gone.until_ms.saturating_sub(now_ms));
        PlaylistSnapshot {
            window: self.config.window,
            target_ms: self.config.target_ms,
            first_sequence: self.config.first_sequence,
            first_discontinuity_sequence: self.config.first_discontinuity_sequence,
            configured_parts: self.config.parts,
            state: self.state,
            next_sequence: self.next_sequence,
            discontinuity_sequence: self.discontinuity_sequence,
            target: self.target.clone(),
            listed: self.listed.iter().cloned().collect(),
            gone: self.gone.iter().map(left).collect(),
            open: self.open.clone(),
            parts: self.parts,
        }
    }

    /// The playlist that gave the snapshot, of segments in `format`, at `now_ms` of this process's clock.
    pub fn restore(
        snapshot: PlaylistSnapshot,
        format: &'static SegmentFormat,
        now_ms: u64,
    ) -> Result<Self, StateError> {
        snapshot.check()?;
        let gone =
            |(sequence, left_ms): (u64, u64)| Gone { sequence, until_ms: now_ms.saturating_add(left_ms) };
        Ok(Self {
            config: PlaylistConfig {
                format,
                window: snapshot.window,
                target_ms: snapshot.target_ms,
                first_sequence: snapshot.first_sequence,
                first_discontinuity_sequence: snapshot.first_discontinuity_sequence,
                parts: snapshot.configured_parts,
            },
            state: snapshot.state,
            next_sequence: snapshot.next_sequence,
            discontinuity_sequence: snapshot.discontinuity_sequence,
            target: snapshot.target,
            listed: snapshot.listed.into(),
            gone: snapshot.gone.into_iter().map(gone).collect(),
            open: snapshot.open,
            parts: snapshot.parts,
        })
    }
}

impl PlaylistSnapshot {
    fn check(&self) -> Result<(), StateError> {
        let first = self.next_sequence.checked_sub(self.listed.len() as u64);
        let first = first
            .ok_or(StateError::Invalid { part: PART, reason: "it lists more than it has numbers for" })?;
        let numbers = self.listed.iter().map(|listed| listed.info.sequence);
        StateError::unless(
            numbers.eq(first..self.next_sequence),
            PART,
            "its numbers do not follow each other",
        )?;
        let in_order =
            self.gone.is_sorted_by(|(first, first_ms), (next, next_ms)| first < next && first_ms <= next_ms);
        StateError::unless(in_order, PART, "segments left it in another order")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hls::{
            container::Container,
            fmp4::container::Fmp4Container,
            playlist::{Detail, OpenInfo, SegmentInfo},
            segment::SegmentPart,
        },
        upgrade::{Blobs, StateFile, decode},
    };

    const PARTS: PartConfig = PartConfig { target_ms: 500, hold_back_ms: 1_500 };
    const OPEN: OpenInfo = OpenInfo {
        discontinuity: false,
        independent: true,
        program_date_time_ms: 1_795_384_800_000,
        init: Some(3),
    };

    fn playlist() -> Playlist {
        Playlist::new(PlaylistConfig {
            format: Fmp4Container::FORMAT,
            window: 3,
            target_ms: 2_000,
            first_sequence: 41,
            first_discontinuity_sequence: 7,
            parts: Some(PARTS),
        })
    }

    fn push_parts(playlist: &mut Playlist, count: usize) {
        let part = SegmentPart { duration_ms: 500, size_bytes: 47, independent: true };
        (0..count).for_each(|_| playlist.push_part(OPEN, part));
    }

    fn push(playlist: &mut Playlist, duration_ms: u64, now_ms: u64) -> (Vec<u64>, Vec<u64>) {
        let info = SegmentInfo {
            sequence: playlist.next_sequence(),
            duration_ms,
            discontinuity: duration_ms == 5_000,
            independent: true,
            program_date_time_ms: OPEN.program_date_time_ms,
            size_bytes: 188,
            init: OPEN.init,
        };
        let left = playlist.push(info, now_ms).unwrap();
        (left.iter().map(|info| info.sequence).collect(), playlist.expired(now_ms))
    }

    fn read_again(playlist: &Playlist, now_ms: u64) -> PlaylistSnapshot {
        let file = StateFile::encode(&playlist.snapshot(now_ms), &Blobs::default()).unwrap();
        let bytes = file.parts().collect::<Vec<_>>().concat();
        decode(&bytes[..], bytes.len() as u64).unwrap().0
    }

    /// Segments of all kinds, so that the target duration is raised and lowered, in another process with another clock.
    #[test]
    fn the_next_process_lists_the_same_and_lets_segments_expire_at_the_same_time() {
        let durations_ms = [2_000, 2_000, 5_000, 1_000].into_iter().chain([2_000; 60]);
        for upgraded_at in [0, 1, 3, 4, 20] {
            let (mut before, mut now_ms) = (playlist(), 0);
            let mut after = None;
            for (at, duration_ms) in durations_ms.clone().enumerate() {
                push_parts(&mut before, 2);
                after.iter_mut().for_each(|after| push_parts(after, 2));
                if at == upgraded_at {
                    after = Some(
                        Playlist::restore(read_again(&before, now_ms), Fmp4Container::FORMAT, 77).unwrap(),
                    );
                }
                let started_ms = upgraded_at as u64 * 2_000;
                push_parts(&mut before, 2);
                let expected = push(&mut before, duration_ms, now_ms);
                if let Some(after) = &mut after {
                    push_parts(after, 2);
                    assert_eq!(push(after, duration_ms, now_ms - started_ms + 77), expected);
                    for detail in [Detail::Segments, Detail::Parts] {
                        assert_eq!(after.render("", detail), before.render("", detail), "{upgraded_at} {at}");
                    }
                }
                now_ms += 2_000;
            }
        }
    }

    #[test]
    fn an_ended_playlist_stays_ended() {
        let mut ended = playlist();
        push(&mut ended, 2_000, 0);
        ended.end();
        let after = Playlist::restore(read_again(&ended, 0), Fmp4Container::FORMAT, 0).unwrap();
        assert!(after.render("", Detail::Segments).unwrap().ends_with("#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn numbers_that_are_not_of_one_playlist_are_refused() {
        let mut playlist = playlist();
        (0..8).for_each(|at| drop(push(&mut playlist, 2_000, at)));
        let refused = |change: fn(&mut PlaylistSnapshot)| {
            let mut snapshot = read_again(&playlist, 0);
            change(&mut snapshot);
            Playlist::restore(snapshot, Fmp4Container::FORMAT, 0).is_err()
        };
        assert!(refused(|snapshot| snapshot.next_sequence += 1));
        assert!(refused(|snapshot| snapshot.next_sequence = 1));
        assert!(refused(|snapshot| snapshot.listed.reverse()));
        assert!(refused(|snapshot| snapshot.gone.reverse()));
        assert!(!refused(|_| ()));
    }
}
