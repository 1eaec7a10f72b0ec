//! The course of a load.

/// The part of a load that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Joining,
    Measuring,
    Over,
}
