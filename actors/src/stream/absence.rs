//! The time between two publications of a room, as its viewers see it.

use tokio::time::Instant;

use crate::metrics::{MoveHow, MoveOutcome, StreamMetrics};

/// The absence of a publisher, from its last frame to the next publication's first one.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// The time at which the last frame was read, if viewers wait for the next one.
    since: Option<Instant>,
    /// The publisher was moved to another node, and has not appeared there yet.
    moved: Option<MoveHow>,
}

impl Absence {
    /// The publisher is moved to another node: its leaving, which comes next, is no end of its own.
    pub fn announce_move(&mut self, how: MoveHow) {
        self.moved = Some(how);
    }

    /// The publisher has left. `last_frame` is when its last frame was read, if viewers have seen one and wait.
    pub fn begin(&mut self, last_frame: Option<Instant>, metrics: &StreamMetrics) {
        self.since = last_frame;
        // Without viewers a stream does not look for its room on other nodes.
        if last_frame.is_none()
            && let Some(how) = self.moved.take()
        {
            metrics.moves.get((how, MoveOutcome::Unwatched)).inc();
        }
    }

    /// The next frame was read at `received`.
    pub fn end(&mut self, received: Instant, metrics: &StreamMetrics) {
        let Some(since) = self.since.take() else { return };
        let gap = received.saturating_duration_since(since);
        metrics.publisher_gap.observe(gap);
        if let Some(how) = self.moved.take() {
            metrics.moves.get((how, MoveOutcome::Moved)).inc();
            metrics.move_gap.observe(gap);
        }
    }

    /// The stream has ended: no further frame comes.
    pub fn give_up(&mut self, metrics: &StreamMetrics) {
        if let Some(how) = self.moved.take() {
            metrics.moves.get((how, MoveOutcome::Expired)).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The counts of moves by close: moved, expired, unwatched.
    fn moves(metrics: &StreamMetrics) -> Vec<u64> {
        let outcomes = MoveOutcome::ALL.iter();
        outcomes.map(|outcome| metrics.moves.get((MoveHow::Close, *outcome)).get()).collect()
    }

    #[test]
    fn a_move_ends_with_the_next_frame_or_with_the_stream_and_is_counted_once() {
        let (mut absence, metrics, now) = (Absence::default(), StreamMetrics::default(), Instant::now());
        absence.announce_move(MoveHow::Close);
        absence.begin(Some(now), &metrics);
        absence.end(now + Duration::from_millis(300), &metrics);
        absence.end(now + Duration::from_millis(333), &metrics);
        absence.give_up(&metrics);
        assert_eq!(moves(&metrics), [1, 0, 0]);
        assert_eq!(metrics.move_gap.counts().iter().sum::<u64>(), 1);
        absence.announce_move(MoveHow::Close);
        absence.begin(Some(now), &metrics);
        absence.give_up(&metrics);
        assert_eq!(moves(&metrics), [1, 1, 0]);
        absence.announce_move(MoveHow::Close);
        absence.begin(None, &metrics);
        absence.give_up(&metrics);
        assert_eq!(moves(&metrics), [1, 1, 1]);
    }

    #[test]
    fn a_gap_that_is_no_move_counts_as_a_gap_only() {
        let (mut absence, metrics, now) = (Absence::default(), StreamMetrics::default(), Instant::now());
        absence.begin(Some(now), &metrics);
        absence.end(now + Duration::from_millis(300), &metrics);
        assert_eq!(metrics.publisher_gap.counts().iter().sum::<u64>(), 1);
        assert!(metrics.move_gap.is_unused());
    }
}
