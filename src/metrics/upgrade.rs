//! Counts over an upgrade in place: a count never falls below one that a scrape has shown.

use log::info;
use serde::{Deserialize, Serialize};
use synctv_actors::metrics::SeriesState;

use super::{NodeSources, rooms::OtherRoomsState};
use crate::http::hls::HlsViewersState;

/// The counts of a node, and the HLS viewers that are already in them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct MetricsState {
    series: Vec<SeriesState>,
    rooms: OtherRoomsState,
    hls_viewers: HlsViewersState,
}

impl NodeSources {
    /// The counts for the next program.
    pub(crate) fn metrics_state(&self) -> MetricsState {
        MetricsState {
            series: self.counted().counts(),
            rooms: self.rooms.state(),
            hls_viewers: self.hls_viewers.state(),
        }
    }

    /// Adds the counts of the last program. Call this before the first scrape.
    pub(crate) fn resume_metrics(&self, MetricsState { series, rooms, hls_viewers }: MetricsState) {
        let unknown = self.counted().resume(&series);
        if unknown > 0 {
            info!(series = unknown; "counts of metrics that this version does not have were dropped");
        }
        self.rooms.resume(rooms);
        self.hls_viewers.resume(hls_viewers);
    }
}
