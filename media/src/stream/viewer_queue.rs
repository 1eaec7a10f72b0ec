//! The media queued for one viewer, and the policy for a viewer that is slower than the stream.

mod state;

use std::{
    collections::VecDeque,
    io::IoSlice,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

use crate::stream::{batch::Batch, gop::JoinPoint, headers::SharedHeaders, wire_format::WireFormat};
pub use state::ViewerQueueState;

/// Limits for a viewer that falls behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagLimits {
    /// Bytes of live media that may wait, not counting the batch that was begun and the newest one that decoding can start
    /// at: a viewer gets every GOP's start, however large that is.
    pub queue_max_bytes: usize,
    /// Milliseconds of live media that may wait.
    pub queue_max_ms: i64,
    /// Time limit for a viewer that accepts no bytes while something waits.
    pub stall_max: Duration,
}

/// A viewer's queue. It is empty, and owns no memory, for as long as the socket takes everything at once.
///
/// The media that a viewer joined with does not count against the limits: it is shared with the cache, and a viewer
/// far away needs a moment for it.
#[derive(Debug)]
pub struct ViewerQueue {
    format: WireFormat,
    flow: Flow,
    items: VecDeque<Item>,
    /// Bytes of live media in `items`.
    live_bytes: usize,
    /// The last time the viewer took anything, or that its queue was empty.
    progress: Instant,
    dropped: Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Flow {
    /// Nothing was sent; the first media will be a batch that decoding can start at.
    Joining,
    /// The audio of every batch goes to the viewer; the first video will be a batch that decoding can start at.
    AudioFirst,
    /// Every batch goes to the viewer.
    Flowing,
    /// The viewer fell behind; batches are dropped up to one that decoding can start at.
    Skipping,
    /// No media is wanted for now.
    Paused,
    /// Nothing follows what waits.
    Ended,
}

#[derive(Debug)]
struct Item {
    bytes: Bytes,
    /// Part of it was sent, so the rest has to follow.
    begun: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Bytes of the connection, not of its media: a response's head, the FLV file header, RTMP replies.
    Control,
    /// Metadata and sequence headers, in front of the media that needs them.
    Headers,
    /// A batch of the stream.
    Media { start: Option<SharedHeaders>, last_ms: i64, tag_count: u32, live: bool },
}

/// Media that was skipped because a viewer was too slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Tags that were left out.
    pub tags: u64,
    /// Times that the viewer was moved to a later keyframe.
    pub skips: u64,
}

impl ViewerQueue {
    /// The queue of a viewer that has been sent nothing yet.
    pub fn new(format: WireFormat, now: Instant) -> Self {
        Self {
            format,
            flow: Flow::Joining,
            items: VecDeque::new(),
            live_bytes: 0,
            progress: now,
            dropped: Dropped::default(),
        }
    }

    /// The form in which the viewer gets its media.
    pub fn format(&self) -> WireFormat {
        self.format
    }

    /// Returns whether the viewer has yet to begin: a join point would be of use to it.
    pub fn is_joining(&self) -> bool {
        self.flow == Flow::Joining
    }

    /// Takes what belongs to the connection, such as the head of a response. It goes out behind all that waits and is
    /// never left out; see [`control_bytes`](Self::control_bytes) for how much waits.
    pub fn push_control(&mut self, bytes: Bytes, now: Instant) {
        self.enqueue(bytes, Kind::Control, now);
    }

    /// Takes FLV tags of the connection's own, behind all that waits. They are left out before the first media, as the file
    /// header comes with that, and after the end.
    pub fn push_tags(&mut self, tags: &[u8], now: Instant) {
        if !matches!(self.flow, Flow::Joining | Flow::Paused | Flow::Ended) {
            self.enqueue(self.format.frame_flv(tags), Kind::Control, now);
        }
    }

    /// Returns the bytes of live media that wait; those of the join are shared with the cache and not among them.
    pub fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// Bytes that wait and belong to the connection. The owner has to bound them if the peer can cause them.
    pub fn control_bytes(&self) -> usize {
        let control = self.items.iter().filter(|item| matches!(item.kind, Kind::Control));
        control.map(|item| item.bytes.len()).sum()
    }

    /// Takes the media to begin with. If that has no batches, the viewer begins with the audio of the next one.
    pub fn join(&mut self, join: &JoinPoint, now: Instant) {
        if self.flow != Flow::Joining {
            return;
        }
        self.begin(&join.headers, now);
        if join.batches.is_empty() {
            self.flow = Flow::AudioFirst;
        }
        for batch in &join.batches {
            self.enqueue_media(batch, 0, false, now);
        }
    }

    /// Returns whether the next batch may go to the socket at once, past the queue. Bytes that the socket does not
    /// accept then come in through [`push_rest`](Self::push_rest).
    pub fn is_direct(&self) -> bool {
        self.flow == Flow::Flowing && self.items.is_empty()
    }

    /// Takes what is left of a batch of which `sent_bytes` went to the socket directly.
    pub fn push_rest(&mut self, batch: &Batch, sent_bytes: usize, now: Instant) {
        self.enqueue_media(batch, sent_bytes, true, now);
    }

    /// Takes the next batch of the stream.
    pub fn push(&mut self, batch: &Batch, now: Instant) {
        match (self.flow, &batch.start) {
            (Flow::Flowing, _) => {}
            (Flow::Joining, Some(headers)) => self.begin(headers, now),
            (Flow::Skipping | Flow::AudioFirst, Some(headers)) => self.resume(headers, now),
            (Flow::Joining, None) | (Flow::Paused | Flow::Ended, _) => return,
            (Flow::AudioFirst, None) => {
                if let Some(audio) = batch.audio() {
                    self.enqueue_media(audio, 0, true, now);
                }
                return;
            }
            (Flow::Skipping, None) => {
                self.dropped.tags += u64::from(batch.tag_count);
                return;
            }
        }
        self.enqueue_media(batch, 0, true, now);
    }

    /// Moves a viewer that is over the limits on to the newest keyframe that waits; if even that is too much, or none
    /// waits, to the next one that comes. Returns whether it did.
    pub fn enforce(&mut self, limits: &LagLimits) -> bool {
        let over = self.flow != Flow::Ended && self.is_over(limits);
        if over {
            self.skip(limits);
        }
        over
    }

    /// Batches were lost before they came here: the viewer goes on at the next one that decoding can start at.
    pub fn miss(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::Skipping;
            self.dropped.skips += 1;
        }
    }

    /// Drops the media that waits, but for the rest of what was begun: the viewer begins again, as a new one does.
    pub fn restart(&mut self) {
        self.items.retain(|item| !item.can_go());
        self.live_bytes = self.items.iter().map(Item::live_bytes).sum();
        self.flow = Flow::Joining;
    }

    /// Drops the media that waits, as [`restart`](Self::restart) does, and takes no more until that is called.
    pub fn pause(&mut self) {
        self.restart();
        self.flow = Flow::Paused;
    }

    /// Ends the media behind what waits, in the way of its format. Does nothing the second time.
    pub fn finish(&mut self, now: Instant) {
        if self.flow != Flow::Ended {
            self.flow = Flow::Ended;
            self.enqueue(self.format.end(), Kind::Control, now);
        }
    }

    /// Counts what is left out from 0 again.
    pub fn forget_dropped(&mut self) {
        self.dropped = Dropped::default();
    }

    /// Returns whether everything was sent.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Puts what comes next into `slices`, for one vectored write. Gives how many were filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, item) in slices.iter_mut().zip(&self.items) {
            *slice = IoSlice::new(&item.bytes);
            filled += 1;
        }
        filled
    }

    /// The viewer took this many bytes.
    pub fn advance(&mut self, mut sent_bytes: usize, now: Instant) {
        if sent_bytes > 0 {
            self.progress = now;
        }
        while let Some(item) = self.items.front_mut() {
            let taken = sent_bytes.min(item.bytes.len());
            self.live_bytes -= item.live_bytes().min(taken);
            item.bytes.advance(taken);
            item.begun |= taken > 0;
            sent_bytes -= taken;
            if !item.bytes.is_empty() {
                return;
            }
            self.items.pop_front();
        }
        self.items = VecDeque::new();
    }

    /// Returns whether the viewer has accepted no bytes for too long.
    pub fn is_stalled(&self, limits: &LagLimits, now: Instant) -> bool {
        !self.items.is_empty() && now.saturating_duration_since(self.progress) >= limits.stall_max
    }

    /// The media that was skipped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn begin(&mut self, headers: &SharedHeaders, now: Instant) {
        self.enqueue(headers.preamble(self.format), Kind::Control, now);
        self.resume(headers, now);
    }

    fn resume(&mut self, headers: &SharedHeaders, now: Instant) {
        self.enqueue(headers.bytes(self.format), Kind::Headers, now);
        self.flow = Flow::Flowing;
    }

    fn enqueue_media(&mut self, batch: &Batch, sent_bytes: usize, live: bool, now: Instant) {
        let bytes = batch.bytes(self.format);
        let kind = Kind::Media {
            start: batch.start.clone(),
            last_ms: batch.last_ms,
            tag_count: batch.tag_count,
            live,
        };
        self.enqueue(bytes.slice(sent_bytes.min(bytes.len())..), kind, now);
        if let Some(item) = self.items.back_mut() {
            item.begun = sent_bytes > 0;
        }
    }

    fn enqueue(&mut self, bytes: Bytes, kind: Kind, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        if self.items.is_empty() {
            self.progress = now;
        }
        let item = Item { bytes, begun: false, kind };
        self.live_bytes += item.live_bytes();
        self.items.push_back(item);
    }

    fn is_over(&self, limits: &LagLimits) -> bool {
        let is_too_large =
            self.live_bytes > limits.queue_max_bytes && self.skippable_bytes() > limits.queue_max_bytes;
        is_too_large || self.live_span_ms() > limits.queue_max_ms
    }

    /// Bytes of live media that a skip could leave out.
    fn skippable_bytes(&self) -> usize {
        let begun = self.items.iter().filter(|item| item.begun).map(Item::live_bytes).sum::<usize>();
        let newest_start = self.items.iter().rev().find(|item| item.start().is_some());
        self.live_bytes - begun - newest_start.map_or(0, Item::live_bytes)
    }

    fn live_span_ms(&self) -> i64 {
        // An item that was begun has to be finished anyway; newer ones need not wait for it to be left out.
        let oldest_ms = self.items.iter().filter(|item| !item.begun).find_map(Item::live_ms);
        let newest_ms = self.items.iter().rev().find_map(Item::live_ms);
        newest_ms.zip(oldest_ms).map_or(0, |(newest_ms, oldest_ms)| newest_ms - oldest_ms)
    }

    fn skip(&mut self, limits: &LagLimits) {
        self.dropped.skips += 1;
        let first_whole = self.items.iter().position(Item::can_go).unwrap_or(self.items.len());
        let newest_start = self.items.iter().rposition(|item| item.start().is_some());
        if let Some(newest_start) = newest_start.filter(|at| *at > first_whole) {
            self.drop_items(first_whole..newest_start);
            if !self.is_over(limits) {
                self.insert_headers();
                return;
            }
        }
        self.drop_items(first_whole..self.items.len());
        self.flow = Flow::Skipping;
    }

    /// Puts headers in front of the newest batch that decoding can start at.
    fn insert_headers(&mut self) {
        let newest_start = self.items.iter().rposition(|item| item.start().is_some());
        let Some((at, headers)) = newest_start.and_then(|at| Some((at, self.items.get(at)?.start()?))) else {
            return;
        };
        let bytes = headers.bytes(self.format);
        if !bytes.is_empty() {
            self.items.insert(at, Item { bytes, begun: false, kind: Kind::Headers });
        }
    }

    fn drop_items(&mut self, range: std::ops::Range<usize>) {
        let behind = self.items.split_off(range.end);
        for item in self.items.split_off(range.start) {
            if item.can_go() {
                self.live_bytes -= item.live_bytes();
                self.dropped.tags += item.tag_count();
            } else {
                self.items.push_back(item);
            }
        }
        self.items.extend(behind);
    }
}

impl Item {
    fn live_bytes(&self) -> usize {
        if self.live_ms().is_some() { self.bytes.len() } else { 0 }
    }

    fn live_ms(&self) -> Option<i64> {
        match self.kind {
            Kind::Media { last_ms, live: true, .. } => Some(last_ms),
            _ => None,
        }
    }

    fn tag_count(&self) -> u64 {
        match self.kind {
            Kind::Media { tag_count, .. } => u64::from(tag_count),
            _ => 0,
        }
    }

    fn start(&self) -> Option<&SharedHeaders> {
        match &self.kind {
            Kind::Media { start, .. } if !self.begun => start.as_ref(),
            _ => None,
        }
    }

    /// A tag that was begun has to be finished, and nothing replaces bytes of the connection.
    fn can_go(&self) -> bool {
        !self.begun && !matches!(self.kind, Kind::Control)
    }
}

#[cfg(test)]
mod tests;
