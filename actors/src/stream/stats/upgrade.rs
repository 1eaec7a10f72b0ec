//! Statistics of a stream over an upgrade in place.

use super::StatsMeter;
use crate::upgrade::states::StatsState;

impl StatsMeter {
    /// The state for the next program. The bit rate is measured anew there.
    pub fn state(&self) -> StatsState {
        StatsState {
            origin: self.origin.clone(),
            since_unix_ms: self.since_unix_ms,
            keyframe_ms: self.keyframe_ms,
            keyframe_interval_ms: self.keyframe_interval_ms,
            has_warned_of_interval: self.has_warned_of_interval,
        }
    }

    /// Goes on where another program stopped.
    pub fn restore(state: StatsState) -> Self {
        Self {
            origin: state.origin,
            since_unix_ms: state.since_unix_ms,
            keyframe_ms: state.keyframe_ms,
            keyframe_interval_ms: state.keyframe_interval_ms,
            has_warned_of_interval: state.has_warned_of_interval,
            ..Self::default()
        }
    }
}
