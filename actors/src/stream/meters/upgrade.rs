//! The counts of a stream over an upgrade in place.

use std::sync::atomic::Ordering;

use super::{StreamCounts, StreamMeters};
use crate::upgrade::states::CountsState;

impl StreamMeters {
    /// The state for the next program. Viewers are counted by themselves, and the cache by its stream.
    pub(crate) fn state(&self) -> CountsState {
        let StreamCounts { ingest_bytes, media_bytes, video_frames, sent_bytes, skips, .. } = self.counts();
        CountsState { ingest_bytes, media_bytes, video_frames, sent_bytes, skips }
    }

    /// Goes on counting where another program stopped.
    pub(crate) fn resume(&self, state: CountsState) {
        self.own.ingest_bytes.store(state.ingest_bytes, Ordering::Relaxed);
        self.own.media_bytes.store(state.media_bytes, Ordering::Relaxed);
        self.own.video_frames.store(state.video_frames, Ordering::Relaxed);
        self.own.sent_bytes.store(state.sent_bytes, Ordering::Relaxed);
        self.own.skips.store(state.skips, Ordering::Relaxed);
    }
}
