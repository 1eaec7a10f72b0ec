//! The numbers that a node which is alone has used, over its restarts: HLS_STORAGE/@numbers.
//!
//! A room that was pushed faster than real time is ahead of the clock, from which numbers begin otherwise, and the clock can
//! be set back. Nodes that share a Redis have them there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use log::debug;

/// No room can have this name.
const NAME: &str = "@numbers";

/// The step by which the written number is above the used one: most segments need no write.
const STEP: u64 = 64;

/// The file, and what is in it.
#[derive(Debug)]
pub(super) struct HighWater {
    path: PathBuf,
    written: u64,
}

impl HighWater {
    pub fn new(storage: &Path) -> Self {
        Self { path: storage.join(NAME), written: 0 }
    }

    /// Numbers below `next_sequence` are used.
    pub fn note(&mut self, next_sequence: u64) {
        if next_sequence <= self.written {
            return;
        }
        let mark = next_sequence.saturating_add(STEP).max(first_sequence_in(&self.path));
        // A mark that cannot be written is not tried again with each segment.
        self.written = mark;
        if let Err(error) = self.write(mark) {
            debug!(path:% = self.path.display(), reason:% = error; "the numbers of segments could not be kept");
        }
    }

    fn write(&self, mark: u64) -> io::Result<()> {
        let unfinished = self.path.with_extension("tmp");
        fs::write(&unfinished, mark.to_string())?;
        fs::rename(&unfinished, &self.path)
    }
}

/// The first sequence number that no process with this HLS_STORAGE has used, as far as it could be kept.
pub(in crate::hls) fn first_sequence(storage: &Path) -> u64 {
    first_sequence_in(&storage.join(NAME))
}

fn first_sequence_in(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_over_processes_and_never_lowered() {
        let storage = tempfile::tempdir().unwrap();
        assert_eq!(first_sequence(storage.path()), 0);
        HighWater::new(storage.path()).note(1_000);
        assert_eq!(first_sequence(storage.path()), 1_000 + STEP);
        HighWater::new(storage.path()).note(10);
        assert_eq!(first_sequence(storage.path()), 1_000 + STEP);
    }

    #[test]
    fn what_is_no_number_or_cannot_be_written_is_none() {
        let storage = tempfile::tempdir().unwrap();
        fs::write(storage.path().join(NAME), "many").unwrap();
        assert_eq!(first_sequence(storage.path()), 0);
        let missing = storage.path().join("missing");
        HighWater::new(&missing).note(7);
        assert_eq!(first_sequence(&missing), 0);
    }
}
