//! The claim of a process on a room.

use super::process::Process;

/// A room's claim, as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub process: Process,
    /// Higher than that of every claim before.
    pub epoch: u64,
}

impl Holder {
    /// Returns whether it is this very claim.
    pub fn is(&self, process: &Process, epoch: u64) -> bool {
        self.process == *process && self.epoch == epoch
    }
}
