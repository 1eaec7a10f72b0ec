//! The actions that need no credential.

use super::Action;

/// A setting of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// It needs no credential.
    Open,
    /// It needs one.
    Closed,
}

/// The settings of all actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Publishing.
    pub publish: Openness,
    /// Watching, and seeing which rooms there are.
    pub play: Openness,
}

impl Policy {
    /// The policy in which anyone may publish and watch.
    pub const OPEN: Self = Self { publish: Openness::Open, play: Openness::Open };

    /// Returns whether `action` needs no credential. Administration and pulls always do.
    pub fn is_open(&self, action: Action) -> bool {
        match action {
            Action::Publish => self.publish == Openness::Open,
            Action::Play | Action::Segment | Action::List => self.play == Openness::Open,
            Action::Admin | Action::Pull => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administration_and_pulls_are_never_open() {
        assert!(Policy::OPEN.is_open(Action::Publish) && Policy::OPEN.is_open(Action::List));
        assert!(!Policy::OPEN.is_open(Action::Admin) && !Policy::OPEN.is_open(Action::Pull));
        let closed_for_publishers = Policy { publish: Openness::Closed, ..Policy::OPEN };
        assert!(!closed_for_publishers.is_open(Action::Publish));
        assert!(closed_for_publishers.is_open(Action::Segment));
    }
}
