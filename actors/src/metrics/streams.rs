//! Publishers, viewers, and the media between them.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{histogram::Histogram, label::label, labelled::Labelled, metric_set::MetricSet};

/// The bounds of the time to the first media, in seconds.
const FIRST_FRAME_BOUNDS_S: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

/// The bounds of the time that media spends in the server, in seconds. Media that is merged for 100 ms has a bound above
/// that.
const SEND_BOUNDS_S: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0];

/// The bounds of a gap between two publishers, in seconds.
const GAP_BOUNDS_S: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

/// The bounds of the time that an origin takes to answer, in seconds.
const OPEN_BOUNDS_S: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

label!(
    /// The protocol that a viewer watches over.
    ViewerProtocol, "protocol" {
        /// HTTP-FLV.
        HttpFlv = "http-flv",
        /// FLV in WebSocket messages.
        WebSocketFlv = "ws-flv",
        /// RTMP play.
        Rtmp = "rtmp",
        /// WebRTC.
        WebRtc = "webrtc",
        /// HLS. Its viewers are known by their requests only.
        Hls = "hls",
        /// HTTP-FLV to another node, which serves viewers of its own. It does not count as a viewer.
        Pull = "pull",
    }
);

/// Nodes that are alone are not pulled from.
const PULL: (&str, &str) = ("protocol", ViewerProtocol::Pull.as_str());

/// Viewers over HLS leave without a word.
const HLS: (&str, &str) = ("protocol", ViewerProtocol::Hls.as_str());

label!(
    /// The answer to a request to publish.
    PublishOutcome, "outcome" {
        /// The publisher has the room.
        Accepted = "accepted",
        /// Another publisher has it.
        Busy = "busy",
        /// The client may not publish there.
        Denied = "denied",
        /// The registry did not answer, or takes no rooms now.
        Registry = "registry",
        /// A limit of rooms was reached.
        Limit = "limit",
        /// The node drains.
        Draining = "draining",
        /// The stream, or the directory of streams, ended.
        Error = "error",
    }
);

label!(
    /// The reason for which a publisher's stay ended.
    PublisherEnd, "why" {
        /// The connection was closed or lost.
        Left = "left",
        /// The publisher ended its publication.
        Unpublished = "unpublished",
        /// Nothing came from it for too long.
        Silent = "silent",
        /// Another publisher has the room.
        TakenOver = "taken_over",
        /// The node drains.
        Draining = "draining",
        /// An administrator disconnected it, or revoked its token.
        Kicked = "kicked",
        /// The time that its token allows is over.
        Expired = "expired",
        /// It violated the protocol, or its stream broke.
        Error = "error",
    }
);

label!(
    /// The track of a frame.
    FrameTrack, "track" {
        /// Audio.
        Audio = "audio",
        /// Video.
        Video = "video",
        /// Metadata.
        Data = "data",
    }
);

label!(
    /// The answer to a request to watch.
    JoinOutcome, "outcome" {
        /// The viewer is served.
        Accepted = "accepted",
        /// No node publishes the room.
        NotLive = "not_live",
        /// The client may not watch it.
        Denied = "denied",
        /// A limit of rooms or connections was reached.
        Limit = "limit",
        /// The room's node did not answer.
        Origin = "origin",
        /// The registry did not answer.
        Registry = "registry",
        /// The node drains.
        Draining = "draining",
        /// Over WebRTC: the stream, or its codec and what the player offers, do not go together.
        Unplayable = "unplayable",
        /// The request cannot be read, or a part of the server ended.
        Error = "error",
    }
);

label!(
    /// The reason for which a viewer is no longer served.
    LeaveWhy, "why" {
        /// The viewer left.
        Left = "left",
        /// It accepted nothing for too long.
        Stalled = "stalled",
        /// The stream ended.
        Ended = "ended",
        /// An administrator disconnected it, or revoked its token.
        Kicked = "kicked",
        /// The time that its token allows is over.
        Expired = "expired",
        /// The node drains.
        Drained = "drained",
        /// It violated the protocol.
        Error = "error",
    }
);

label!(
    /// The way in which a draining node sends a publisher to another one.
    MoveHow, "how" {
        /// It is asked to publish on a new connection.
        Request = "request",
        /// Its connection is closed at the best moment.
        Close = "close",
    }
);

label!(
    /// The end of a publisher's move, as the draining node sees it.
    MoveOutcome, "outcome" {
        /// Its media came from another node.
        Moved = "moved",
        /// It did not leave as it was asked to, or its viewers waited in vain.
        Expired = "expired",
        /// It left while no viewer watched here, so that the node did not look for it.
        Unwatched = "unwatched",
    }
);

label!(
    /// The end of an attempt to fetch a room from its origin.
    PullOutcome, "outcome" {
        /// Its media came.
        Ok = "ok",
        /// The origin does not publish the room.
        Refused = "refused",
        /// The origin could not be reached, or broke off.
        Error = "error",
    }
);

/// The metrics of all streams of a node.
#[derive(Debug)]
pub struct StreamMetrics {
    /// Requests to publish.
    pub publishes: Labelled<PublishOutcome, Counter>,
    /// Publishers that left.
    pub publisher_ends: Labelled<PublisherEnd, Counter>,
    /// Bytes of frames taken from publishers.
    pub ingest_bytes: Counter,
    /// Frames taken from publishers.
    pub ingest_frames: Labelled<FrameTrack, Counter>,
    /// Frames that were left out because they cannot be read.
    pub unreadable_frames: Counter,
    /// Times that a publisher was held back because its stream could not follow.
    pub ingest_pauses: Counter,
    /// The time from a publisher's last frame to the next publisher's first one, where viewers waited.
    pub publisher_gap: Histogram,
    /// Publishers that a drain sent to other nodes.
    pub moves: Labelled<(MoveHow, MoveOutcome), Counter>,
    /// The gap of those that were moved, as viewers on this node saw it.
    pub move_gap: Histogram,
    /// Viewers that are connected. Other nodes' pulls are counted as well, under their own protocol.
    pub viewers: Labelled<ViewerProtocol, Gauge>,
    /// Requests to watch.
    pub joins: Labelled<(ViewerProtocol, JoinOutcome), Counter>,
    /// Viewers that are no longer served.
    pub leaves: Labelled<(ViewerProtocol, LeaveWhy), Counter>,
    /// The time from a request to the first media in the socket.
    pub first_frame: Labelled<ViewerProtocol, Histogram>,
    /// The time from a frame's last byte read to the last viewer's send; one for each flush and thread.
    pub publish_to_send: Histogram,
    /// Bytes sent to viewers that are connected, added once a second.
    pub sent_bytes: Labelled<ViewerProtocol, Counter>,
    /// Times that slow viewers were moved on to a later keyframe.
    pub skips: Counter,
    /// Tags that slow viewers missed.
    pub dropped_tags: Counter,
    /// Flushes that a thread of viewers could not take.
    pub lost_flushes: Counter,
    /// Bytes of live media that wait for slow viewers.
    pub queue_bytes: Gauge,
    /// Attempts to fetch a room from its origin.
    pub pull_opens: Labelled<PullOutcome, Counter>,
    /// The time that origins took to answer.
    pub pull_open: Histogram,
}

impl Default for StreamMetrics {
    fn default() -> Self {
        Self {
            publishes: Labelled::default(),
            publisher_ends: Labelled::default(),
            ingest_bytes: Counter::default(),
            ingest_frames: Labelled::default(),
            unreadable_frames: Counter::default(),
            ingest_pauses: Counter::default(),
            publisher_gap: Histogram::new(GAP_BOUNDS_S),
            moves: Labelled::default(),
            move_gap: Histogram::new(GAP_BOUNDS_S),
            viewers: Labelled::default(),
            joins: Labelled::default(),
            leaves: Labelled::default(),
            first_frame: Labelled::with(|| Histogram::new(FIRST_FRAME_BOUNDS_S)),
            publish_to_send: Histogram::new(SEND_BOUNDS_S),
            sent_bytes: Labelled::default(),
            skips: Counter::default(),
            dropped_tags: Counter::default(),
            lost_flushes: Counter::default(),
            queue_bytes: Gauge::default(),
            pull_opens: Labelled::default(),
            pull_open: Histogram::new(OPEN_BOUNDS_S),
        }
    }
}

impl StreamMetrics {
    /// Registers them under their names.
    pub fn register(&self, registry: &mut MetricSet) {
        self.register_publishers(registry);
        self.register_viewers(registry);
        let opens = "Attempts to fetch rooms from other nodes";
        registry.register("pull_opens", opens, self.pull_opens.clone());
        registry.register("pull_open_seconds", "Time that origins took to answer", self.pull_open.clone());
    }

    fn register_publishers(&self, registry: &mut MetricSet) {
        registry.register("publishes", "Requests to publish", self.publishes.clone());
        registry.register("publisher_ends", "Publishers that left", self.publisher_ends.clone());
        registry.register("ingest_bytes", "Bytes of frames taken from publishers", self.ingest_bytes.clone());
        registry.register("ingest_frames", "Frames taken from publishers", self.ingest_frames.clone());
        let unreadable = "Frames left out because they cannot be read";
        registry.register("ingest_unreadable_frames", unreadable, self.unreadable_frames.clone());
        let pauses = "Times that publishers were held back";
        registry.register("ingest_pauses", pauses, self.ingest_pauses.clone());
        let gap = "Time without frames between two publishers";
        registry.register("publisher_gap_seconds", gap, self.publisher_gap.clone());
        registry.register("moves", "Publishers that a drain sent to other nodes", self.moves.clone());
        let gap = "Gap of moved publishers, as viewers of this node saw it";
        registry.register("move_gap_seconds", gap, self.move_gap.clone());
    }

    fn register_viewers(&self, registry: &mut MetricSet) {
        let joins = self.joins.clone().with_rare(&[PULL]);
        registry.register("viewer_joins", "Requests to watch", joins);
        let leaves = self.leaves.clone().with_rare(&[PULL, HLS]);
        registry.register("viewer_leaves", "Viewers no longer served", leaves);
        let first = "Time from a request to the first media in the socket";
        registry.register("first_frame_seconds", first, self.first_frame.clone());
        let send = "Time from a frame's last byte read to the last viewer's send";
        registry.register("publish_to_send_seconds", send, self.publish_to_send.clone());
        registry.register("sent_bytes", "Bytes of media sent", self.sent_bytes.clone());
        let skips = "Times that slow viewers skipped to a later keyframe";
        registry.register("viewer_skips", skips, self.skips.clone());
        registry.register(
            "viewer_dropped_tags",
            "FLV tags that slow viewers missed",
            self.dropped_tags.clone(),
        );
        let lost = "Flushes that a thread of viewers could not take";
        registry.register("stream_lost_flushes", lost, self.lost_flushes.clone());
        registry.register("viewer_queue_bytes", "Media waiting for slow viewers", self.queue_bytes.clone());
    }
}
