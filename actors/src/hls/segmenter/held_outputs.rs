//! Segments and parts that wait until it is known where their playlist begins.

use synctv_media::hls::segment::Output;

use crate::cluster::registry::numbers::NumberReserve;

/// Maximum outputs that wait. With more the playlist begins without another node's window: a file that is pushed as fast as the
/// network takes it has hundreds a second.
const HELD_MAX: usize = 64;

/// A segment or part with the date of its first frame, in milliseconds since 1970, UTC.
pub(super) type DatedOutput = (Output, u64);

/// The outputs that wait, and the numbers that came with the publisher's claim.
pub(super) struct HeldOutputs {
    pub reserve: NumberReserve,
    pub outputs: Vec<DatedOutput>,
}

impl HeldOutputs {
    /// Nothing waits yet.
    pub fn new(reserve: NumberReserve) -> Self {
        Self { reserve, outputs: Vec::new() }
    }

    /// Returns whether no more may wait.
    pub fn is_full(&self) -> bool {
        self.outputs.len() >= HELD_MAX
    }
}
