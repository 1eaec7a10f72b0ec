//! The counts of one stream, which go into those of its node as well.

mod upgrade;

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use synctv_media::stream::{
    frame::{Frame, Track},
    viewer_queue::Dropped,
};

use crate::metrics::{FrameTrack, Label, StreamMetrics, ViewerProtocol};

/// The counts of one stream. Clones share them.
#[derive(Debug, Clone)]
pub struct StreamMeters {
    node: Arc<StreamMetrics>,
    own: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    ingest_bytes: AtomicU64,
    media_bytes: AtomicU64,
    video_frames: AtomicU64,
    sent_bytes: AtomicU64,
    skips: AtomicU64,
    gop_bytes: AtomicU64,
    /// One for each protocol.
    viewers: [AtomicU64; ViewerProtocol::COUNT],
}

/// The counts of one stream at one time. All but the viewers and the cache only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Bytes of frames taken from publishers of this node.
    pub ingest_bytes: u64,
    /// Bytes of frames taken, from publishers and from other nodes.
    pub media_bytes: u64,
    /// Video frames taken, from publishers and from other nodes.
    pub video_frames: u64,
    /// Bytes sent to viewers and to nodes that pull the stream.
    pub sent_bytes: u64,
    /// Times that slow viewers were moved on to a later keyframe.
    pub skips: u64,
    /// Bytes in the GOP cache.
    pub gop_bytes: u64,
}

/// Frames that were taken and are not counted yet: plain integers, which are added once for each flush.
#[derive(Debug, Default)]
pub(super) struct IngestTally {
    bytes: u64,
    /// In the order of [`FrameTrack`].
    frames: [u64; FrameTrack::COUNT],
}

impl StreamMeters {
    /// Makes the meters of a stream of the node that `node` counts for.
    pub(crate) fn new(node: Arc<StreamMetrics>) -> Self {
        let own = Counts {
            ingest_bytes: AtomicU64::new(0),
            media_bytes: AtomicU64::new(0),
            video_frames: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            skips: AtomicU64::new(0),
            gop_bytes: AtomicU64::new(0),
            viewers: [const { AtomicU64::new(0) }; ViewerProtocol::COUNT],
        };
        Self { node, own: Arc::new(own) }
    }

    /// Returns the metrics of the node.
    pub(crate) fn node(&self) -> &StreamMetrics {
        &self.node
    }

    /// Returns what was counted.
    pub fn counts(&self) -> StreamCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StreamCounts {
            ingest_bytes: get(&self.own.ingest_bytes),
            media_bytes: get(&self.own.media_bytes),
            video_frames: get(&self.own.video_frames),
            sent_bytes: get(&self.own.sent_bytes),
            skips: get(&self.own.skips),
            gop_bytes: get(&self.own.gop_bytes),
        }
    }

    /// Returns the viewers that are connected over a protocol.
    pub fn viewers(&self, protocol: ViewerProtocol) -> u64 {
        self.own.viewers[protocol.index()].load(Ordering::Relaxed)
    }

    pub(crate) fn viewer_came(&self, protocol: ViewerProtocol) {
        self.own.viewers[protocol.index()].fetch_add(1, Ordering::Relaxed);
        self.node.viewers.get(protocol).inc();
    }

    pub(crate) fn viewer_left(&self, protocol: ViewerProtocol) {
        self.own.viewers[protocol.index()].fetch_sub(1, Ordering::Relaxed);
        self.node.viewers.get(protocol).dec();
    }

    /// Counts what was sent to a viewer, and what it missed.
    pub(crate) fn add_sent(&self, protocol: ViewerProtocol, bytes: u64, dropped: Dropped) {
        self.own.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.node.sent_bytes.get(protocol).inc_by(bytes);
        if dropped != Dropped::default() {
            self.own.skips.fetch_add(dropped.skips, Ordering::Relaxed);
            self.node.skips.inc_by(dropped.skips);
            self.node.dropped_tags.inc_by(dropped.tags);
        }
    }

    /// Counts the frames of a flush. `is_ingest`: a publisher of this node sent them.
    pub(super) fn add_taken(&self, tally: &mut IngestTally, is_ingest: bool, gop_bytes: usize) {
        let IngestTally { bytes, frames } = mem::take(tally);
        let video_frames = frames[FrameTrack::Video.index()];
        self.own.video_frames.fetch_add(video_frames, Ordering::Relaxed);
        self.own.media_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.own.gop_bytes.store(gop_bytes as u64, Ordering::Relaxed);
        if !is_ingest {
            return;
        }
        self.own.ingest_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.node.ingest_bytes.inc_by(bytes);
        for (track, count) in FrameTrack::ALL.iter().zip(frames) {
            if count > 0 {
                self.node.ingest_frames.get(*track).inc_by(count);
            }
        }
    }
}

impl IngestTally {
    /// Counts a frame.
    pub fn add(&mut self, frame: &Frame) {
        self.bytes += frame.payload.len() as u64;
        let track = match frame.track {
            Track::Audio => FrameTrack::Audio,
            Track::Video => FrameTrack::Video,
            Track::Data => FrameTrack::Data,
        };
        self.frames[track.index()] += 1;
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::samples;

    use super::*;

    #[test]
    fn what_other_nodes_publish_is_no_ingest() {
        let node = Arc::new(StreamMetrics::default());
        let meters = StreamMeters::new(node.clone());
        let mut tally = IngestTally::default();
        let frame = samples::keyframe(0);
        tally.add(&frame);
        meters.add_taken(&mut tally, false, 7);
        assert_eq!((node.ingest_bytes.get(), meters.counts().ingest_bytes), (0, 0));
        tally.add(&frame);
        tally.add(&samples::audio(1));
        meters.add_taken(&mut tally, true, 9);
        let bytes = (frame.payload.len() + samples::audio(1).payload.len()) as u64;
        assert_eq!((node.ingest_bytes.get(), meters.counts().ingest_bytes), (bytes, bytes));
        assert_eq!(node.ingest_frames.get(FrameTrack::Audio).get(), 1);
        let StreamCounts { video_frames, gop_bytes, .. } = meters.counts();
        assert_eq!((video_frames, gop_bytes), (2, 9));
    }
}
