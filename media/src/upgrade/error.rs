//! The reasons a state is refused.

use std::io;

use thiserror::Error;

use super::version::{STATE_MAX_BYTES, VERSION};

/// The reason a state cannot be written, read or restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The first bytes are not those of a state.
    #[error("not a state of synctv-stream")]
    NotAState,
    /// Another version wrote it. It is not guessed at: a field that changed its meaning would be read as the old one.
    #[error("the state has version {0}, this binary reads version {VERSION}")]
    Version(u32),
    /// It ends before its time.
    #[error("the state is cut off")]
    Truncated,
    /// Its checksum is not that of its content.
    #[error("the state is damaged: its checksum differs")]
    Damaged,
    /// It is longer than any process writes.
    #[error("a state of {0} bytes, the limit is {STATE_MAX_BYTES}")]
    TooLarge(u64),
    /// Its structure is another one.
    #[error("the state cannot be decoded: {0}")]
    Format(#[from] postcard::Error),
    /// The file that it is in cannot be read.
    #[error("the state cannot be read: {0}")]
    Read(io::ErrorKind),
    /// A part refers to media that is not in the table.
    #[error("the state has no blob {0}")]
    NoBlob(u32),
    /// A part is in a state that it never gives.
    #[error("the state of {part} is invalid: {reason}")]
    Invalid {
        /// The part.
        part: &'static str,
        /// The rule that it breaks.
        reason: &'static str,
    },
}

impl StateError {
    /// Refuses the state of `part` unless a rule holds.
    pub fn unless(holds: bool, part: &'static str, reason: &'static str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Invalid { part, reason }) }
    }
}
