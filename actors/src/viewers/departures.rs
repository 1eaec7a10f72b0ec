//! The moments at which the viewers of a node that drains are disconnected, and get notice of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::events::{LeaveWindow, ViewerId};

/// The steps that are yet to come, the last ones first.
#[derive(Debug, Default)]
pub(super) struct Departures(Vec<Departure>);

/// One step of one viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Departure {
    at: Instant,
    pub viewer: ViewerId,
    pub step: Step,
}

/// A step on a viewer's way to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// It is disconnected after this long.
    Notice(Duration),
    /// It is disconnected.
    Leave,
}

impl Departures {
    /// Gives each viewer a moment in the window, and notice before to those that want it.
    pub fn new(viewers: impl Iterator<Item = (ViewerId, bool)>, window: &LeaveWindow) -> Self {
        let mut steps = Vec::new();
        for (viewer, wants_notice) in viewers {
            let at = window.next_moment();
            steps.push(Departure { at, viewer, step: Step::Leave });
            if wants_notice {
                let notice_at = at.checked_sub(window.notice).unwrap_or(at);
                steps.push(Departure { at: notice_at, viewer, step: Step::Notice(window.notice) });
            }
        }
        steps.sort_unstable_by(|one, other| other.cmp(one));
        Self(steps)
    }

    /// Lets a viewer that was to leave stay until `at`.
    pub fn postpone(&mut self, viewer: ViewerId, at: Instant) {
        let departure = Departure { at, viewer, step: Step::Leave };
        let place = self.0.partition_point(|other| *other > departure);
        self.0.insert(place, departure);
    }

    /// Takes the next step whose moment has come.
    pub fn next_due(&mut self, now: Instant) -> Option<Departure> {
        self.0.pop_if(|departure| departure.at <= now)
    }

    /// Returns the moment of the next step.
    pub fn next_moment(&self) -> Option<Instant> {
        self.0.last().map(|departure| departure.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_viewer_leaves_once_and_is_given_notice_before_if_it_wants_it() {
        let (begins, notice) = (Instant::now() + Duration::from_secs(60), Duration::from_secs(3));
        let window = LeaveWindow {
            begins,
            length: Duration::from_secs(10),
            notice,
            next_node: None,
            only_encrypted: false,
        };
        let viewers = (0..100).map(|id| (ViewerId(id), id % 2 == 0));
        let mut departures = Departures::new(viewers, &window);
        assert_eq!(departures.next_due(begins - notice - Duration::from_millis(1)), None);
        let mut steps = Vec::new();
        while let Some(at) = departures.next_moment() {
            steps.push((at, departures.next_due(at).unwrap()));
        }
        for id in 0..100 {
            let mut own = steps.iter().filter(|(_, departure)| departure.viewer == ViewerId(id));
            if id % 2 == 0 {
                assert_eq!(own.next().unwrap().1.step, Step::Notice(notice));
            }
            let (at, last) = own.next().unwrap();
            assert_eq!((last.step, own.next()), (Step::Leave, None));
            assert!((begins..=begins + window.length).contains(at));
        }
    }

    #[test]
    fn a_viewer_that_may_stay_longer_leaves_in_its_turn() {
        let begins = Instant::now();
        let length = Duration::from_secs(10);
        let window =
            LeaveWindow { begins, length, notice: Duration::ZERO, next_node: None, only_encrypted: false };
        let mut departures = Departures::new((0..10).map(|id| (ViewerId(id), false)), &window);
        let first = departures.next_due(departures.next_moment().unwrap()).unwrap();
        let again_at = first.at + Duration::from_secs(5);
        departures.postpone(first.viewer, again_at);
        let mut left = Vec::new();
        while let Some(at) = departures.next_moment() {
            left.push((at, departures.next_due(at).unwrap().viewer));
        }
        assert!(left.is_sorted_by_key(|(at, _)| *at) && left.len() == 10, "{left:?}");
        assert!(left.contains(&(again_at, first.viewer)), "{left:?}");
    }
}
