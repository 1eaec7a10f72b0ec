//! The state of a viewer's queue.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use serde::{Deserialize, Serialize};

use super::{Dropped, Flow, Item, Kind, ViewerQueue};
use crate::{
    stream::{
        headers::{Headers, HeadersState},
        wire_format::WireFormat,
    },
    upgrade::{BlobId, Blobs, StateError, age_ms, check_media_time, instant_of_age},
};

const PART: &str = "a viewer's queue";

/// The most tags and skips that a queue can have counted: no viewer lives for so long, and counts stay far from their end.
const COUNT_MAX: u64 = 1 << 48;

/// The state of a [`ViewerQueue`]: the bytes that the viewer has yet to get, to the byte, and where it is in the stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewerQueueState {
    format: WireFormat,
    flow: Flow,
    items: Vec<ItemState>,
    progress_age_ms: u64,
    dropped: Dropped,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ItemState {
    bytes: BlobId,
    begun: bool,
    kind: KindState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum KindState {
    Control,
    Headers,
    Media { start: Option<HeadersState>, last_ms: i64, tag_count: u32, live: bool },
}

impl ViewerQueue {
    /// Gives its state. The queued media goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs, now: Instant) -> ViewerQueueState {
        ViewerQueueState {
            format: self.format,
            flow: self.flow,
            items: self.items.iter().map(|item| item.state(blobs)).collect(),
            progress_age_ms: age_ms(self.progress, now),
            dropped: self.dropped,
        }
    }

    /// Restores the queue; the next batch of the stream has to be the one that would have followed. The time of the upgrade does
    /// not count as one in which the viewer took nothing.
    pub fn restore(state: ViewerQueueState, blobs: &Blobs, now: Instant) -> Result<Self, StateError> {
        let ViewerQueueState { format, flow, items, progress_age_ms, dropped } = state;
        let is_count = dropped.tags <= COUNT_MAX && dropped.skips <= COUNT_MAX;
        StateError::unless(is_count, PART, "a count is too high")?;
        let items = items.into_iter().map(|item| Item::restore(item, blobs));
        let items = items.collect::<Result<VecDeque<_>, _>>()?;
        let live_bytes = items.iter().map(Item::live_bytes).sum();
        let progress = instant_of_age(progress_age_ms, now);
        Ok(Self { format, flow, items, live_bytes, progress, dropped })
    }
}

impl Item {
    fn state(&self, blobs: &mut Blobs) -> ItemState {
        let kind = match &self.kind {
            Kind::Control => KindState::Control,
            Kind::Headers => KindState::Headers,
            Kind::Media { start, last_ms, tag_count, live } => KindState::Media {
                start: start.as_ref().map(|headers| headers.state(blobs)),
                last_ms: *last_ms,
                tag_count: *tag_count,
                live: *live,
            },
        };
        ItemState { bytes: blobs.put(&self.bytes), begun: self.begun, kind }
    }

    fn restore(state: ItemState, blobs: &Blobs) -> Result<Self, StateError> {
        let kind = match state.kind {
            KindState::Control => Kind::Control,
            KindState::Headers => Kind::Headers,
            KindState::Media { start, last_ms, tag_count, live } => {
                check_media_time(last_ms, PART)?;
                let start = start.map(|headers| Headers::restore(headers, blobs)).transpose()?.map(Arc::new);
                Kind::Media { start, last_ms, tag_count, live }
            }
        };
        let bytes = blobs.get(state.bytes)?;
        StateError::unless(!bytes.is_empty(), PART, "nothing waits where something should")?;
        Ok(Self { bytes, begun: state.begun, kind })
    }
}

#[cfg(test)]
mod tests;
