//! One viewer's stay at a stream, counted and logged the same way for every protocol.

mod upgrade;

use std::{fmt, io, net::SocketAddr, time::Duration};

use log::Level;
use synctv_media::stream::{room::RoomName, viewer_queue::Dropped};
use tokio::time::Instant;

use crate::{
    access::{Cut, Session as AccessSession},
    events::{EndReason, Evicted},
    metrics::{JoinOutcome, LeaveWhy, PublisherEnd, ViewerProtocol},
    stream::{CountedViewer, StreamHandle, StreamMeters},
};

pub(crate) use self::upgrade::ParkedStay;

/// The reason a viewer, or an RTMP publisher, is no longer served.
#[derive(Debug)]
pub(crate) enum LeaveReason {
    /// The peer closed the connection, or it failed.
    Disconnected(io::Error),
    /// The viewer asked for it, by a command of its protocol.
    Stopped,
    /// The viewer accepted nothing for this long.
    Stalled(Duration),
    /// The stream ended.
    Ended(EndReason),
    /// The publisher ended its publication.
    Unpublished,
    /// Nothing came from the publisher for this long.
    Silent(Duration),
    /// The publisher no longer has its room.
    Evicted(Evicted),
    /// It is not allowed any longer.
    Cut(Cut),
    /// The peer violates the protocol, or a limit, as the text says.
    Closed(String),
}

/// A viewer from when it was let in until it left. It counts while the value lives.
#[derive(Debug)]
pub(crate) struct ViewerSession {
    room: RoomName,
    peer: SocketAddr,
    protocol: ViewerProtocol,
    since: Instant,
    /// The cut-off of its access.
    access: Option<AccessSession>,
    meters: StreamMeters,
    /// The part of it that was counted so far.
    counted: Delivered,
    first_media: FirstMedia,
    _counted: Option<CountedViewer>,
}

/// The amount of media that a viewer was sent, and that it missed because it was too slow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delivered {
    pub sent_bytes: u64,
    /// Tags, or RTP packets.
    pub dropped: Dropped,
    /// The amount that waits for it, in bytes.
    pub queue_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum FirstMedia {
    /// It is there when more is sent than what comes in front of media.
    Awaited {
        since: Instant,
        head_bytes: u64,
    },
    Sent,
}

impl ViewerSession {
    /// Counts and logs a viewer of `stream` that asked at `asked`, and that `access` may cut. Media is counted from
    /// here.
    pub fn begin(
        stream: &StreamHandle,
        peer: SocketAddr,
        protocol: ViewerProtocol,
        access: Option<AccessSession>,
        asked: Instant,
    ) -> Self {
        let room = stream.room().clone();
        log::info!(room = room.as_str(), peer:% = peer, protocol = protocol.as_str(); "viewer connected");
        let _counted = (protocol != ViewerProtocol::Pull).then(|| stream.count_viewer());
        let meters = stream.meters().clone();
        meters.viewer_came(protocol);
        meters.node().joins.get((protocol, JoinOutcome::Accepted)).inc();
        Self {
            room,
            peer,
            protocol,
            since: Instant::now(),
            access,
            meters,
            counted: Delivered::default(),
            first_media: FirstMedia::Awaited { since: asked, head_bytes: 0 },
            _counted,
        }
    }

    /// So many bytes are sent in front of the first media.
    pub fn note_head(&mut self, bytes: u64) {
        if let FirstMedia::Awaited { head_bytes, .. } = &mut self.first_media {
            *head_bytes = bytes;
        }
    }

    /// Returns why the viewer is not allowed any longer, if it is not. To be asked about once a second.
    pub fn cut(&self) -> Option<Cut> {
        self.access.as_ref()?.cut()
    }

    /// Notes the first media, if it was sent by now. Returns whether it still has to be.
    pub fn awaits_media(&mut self, sent_bytes: u64) -> bool {
        let FirstMedia::Awaited { since, head_bytes } = self.first_media else { return false };
        if sent_bytes <= head_bytes {
            return true;
        }
        self.meters.node().first_frame.get(self.protocol).observe(since.elapsed());
        self.first_media = FirstMedia::Sent;
        false
    }

    /// Adds what the viewer was sent and not sent since the last time to what its stream and node count. To be called once a
    /// second: with each frame, it would be seen in what a frame costs.
    pub fn count(&mut self, delivered: Delivered) {
        let Delivered { sent_bytes, dropped, queue_bytes } = delivered;
        let before = &self.counted;
        let newly_dropped = Dropped {
            tags: dropped.tags.saturating_sub(before.dropped.tags),
            skips: dropped.skips.saturating_sub(before.dropped.skips),
        };
        self.meters.add_sent(self.protocol, sent_bytes.saturating_sub(before.sent_bytes), newly_dropped);
        self.count_queue(queue_bytes);
        self.counted = delivered;
    }

    fn count_queue(&self, queue_bytes: usize) {
        let difference = queue_bytes as i64 - self.counted.queue_bytes as i64;
        if difference != 0 {
            self.meters.node().queue_bytes.inc_by(difference);
        }
    }

    /// Logs and counts the end of the viewer's stay, with what it was sent and not sent.
    pub fn end(&mut self, reason: &LeaveReason, delivered: Delivered) {
        self.count(delivered);
        self.meters.node().leaves.get((self.protocol, reason.why())).inc();
        let Delivered { sent_bytes, dropped, .. } = delivered;
        log::log!(reason.level(),
            room = self.room.as_str(), peer:% = self.peer, why:% = reason, protocol = self.protocol.as_str(),
            seconds = self.since.elapsed().as_secs(), bytes = sent_bytes,
            dropped_tags = dropped.tags, skips = dropped.skips;
            "viewer disconnected");
    }
}

impl Drop for ViewerSession {
    fn drop(&mut self) {
        self.count_queue(0);
        self.meters.viewer_left(self.protocol);
    }
}

impl LeaveReason {
    fn level(&self) -> Level {
        match self {
            Self::Stalled(_) => Level::Warn,
            _ => Level::Info,
        }
    }

    fn why(&self) -> LeaveWhy {
        match self {
            Self::Disconnected(_) | Self::Stopped => LeaveWhy::Left,
            Self::Stalled(_) => LeaveWhy::Stalled,
            Self::Ended(EndReason::NodeDraining) => LeaveWhy::Drained,
            Self::Ended(_) => LeaveWhy::Ended,
            Self::Cut(Cut::Over) => LeaveWhy::Expired,
            Self::Cut(Cut::Revoked | Cut::Kicked) => LeaveWhy::Kicked,
            Self::Unpublished | Self::Silent(_) | Self::Evicted(_) | Self::Closed(_) => LeaveWhy::Error,
        }
    }

    /// Returns the reason as it is counted for a publisher.
    pub fn publisher_end(&self) -> PublisherEnd {
        match self {
            Self::Disconnected(_) => PublisherEnd::Left,
            Self::Unpublished | Self::Stopped => PublisherEnd::Unpublished,
            Self::Silent(_) => PublisherEnd::Silent,
            Self::Evicted(Evicted::TakenOver) => PublisherEnd::TakenOver,
            Self::Evicted(Evicted::Draining) => PublisherEnd::Draining,
            Self::Cut(Cut::Over) => PublisherEnd::Expired,
            Self::Cut(Cut::Revoked | Cut::Kicked) => PublisherEnd::Kicked,
            Self::Evicted(Evicted::StreamGone) | Self::Stalled(_) | Self::Ended(_) | Self::Closed(_) => {
                PublisherEnd::Error
            }
        }
    }
}

impl From<io::Error> for LeaveReason {
    fn from(error: io::Error) -> Self {
        Self::Disconnected(error)
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(error) if is_orderly(error) => f.write_str("connection closed by the peer"),
            Self::Disconnected(error) => write!(f, "connection lost: {error}"),
            Self::Stopped => f.write_str("stopped playing"),
            Self::Stalled(limit) => write!(f, "stalled: no bytes accepted for {} s", limit.as_secs()),
            Self::Ended(reason) => reason.fmt(f),
            Self::Unpublished => f.write_str("unpublished"),
            Self::Silent(limit) => write!(f, "silent for {} s", limit.as_secs()),
            Self::Evicted(evicted) => evicted.fmt(f),
            Self::Cut(cut) => cut.fmt(f),
            Self::Closed(why) => f.write_str(why),
        }
    }
}

fn is_orderly(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionAborted)
}
