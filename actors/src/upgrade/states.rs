//! The state of a node, as plain data. What is in `media` has a state of its own there, which this one contains.
//!
//! Some of it may be credentials, and has no `Debug`. Moments are ages in milliseconds: a monotonic clock has no other form outside of its process.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use synctv_media::{
    cluster::numbers::{HlsNumbers, NumberUse},
    flv::{reader::FlvReaderState, websocket::ClientReaderState},
    rtmp::session::SessionState,
    stream::{
        batcher::BatcherState, gop::GopCacheState, keyframe_rhythm::KeyframeRhythmState,
        publication_resume::PublicationResumeState, room::RoomName, viewer_queue::ViewerQueueState,
    },
};

use super::lot::DescriptorId;

/// A stream.
#[derive(Serialize, Deserialize)]
pub struct ParkedStreamState {
    /// Its room.
    pub room: RoomName,
    /// The source of its media.
    pub feed: FeedState,
    /// The number of publishers that it has had.
    pub publishers: u64,
    /// Its timeline, its headers, and frames that are held.
    pub batcher: BatcherState,
    /// The moments of its publisher's keyframes, on a clock that shows `clock_ms` now.
    pub rhythm: KeyframeRhythmState,
    /// The time of that clock.
    pub clock_ms: u64,
    /// Its cached media.
    pub gops: GopCacheState,
    /// Its statistics.
    pub stats: StatsState,
    /// Its counts.
    pub counts: CountsState,
    /// Age of its newest frame.
    pub received_ago_ms: u64,
    /// Frames that could not be read.
    pub unreadable_frames: u64,
    /// GOPs that outgrew the cache.
    pub oversized_gops: u64,
}

/// The statistics of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatsState {
    /// The node that it is pulled from, or was last.
    pub origin: Option<String>,
    /// The time at which its publisher connected, in milliseconds since 1970.
    pub since_unix_ms: Option<u64>,
    /// The time of its last keyframe.
    pub keyframe_ms: Option<i64>,
    /// The interval before that one.
    pub keyframe_interval_ms: Option<i64>,
    /// It was logged that its keyframes are far apart.
    pub has_warned_of_interval: bool,
}

/// The counts of a stream, which only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountsState {
    /// Bytes of frames taken from publishers of this node.
    pub ingest_bytes: u64,
    /// Bytes of all frames taken.
    pub media_bytes: u64,
    /// Video frames taken.
    pub video_frames: u64,
    /// Bytes sent to viewers.
    pub sent_bytes: u64,
    /// Times that slow viewers were moved on to a later keyframe.
    pub skips: u64,
}

/// The source of a stream's media.
#[derive(Serialize, Deserialize)]
pub enum FeedState {
    /// None, for so long; the stream ends when that has lasted for `patience_ms`.
    Vacant {
        /// The time that it has lasted.
        since_ago_ms: u64,
        /// The time that it may last.
        patience_ms: u64,
    },
    /// Another node, and how far its publication was taken, if it is known.
    Pulled(Option<PullState>),
    /// A publisher of this node.
    Published {
        /// The publisher's number.
        publisher: u64,
        /// The epoch of its claim.
        epoch: u64,
        /// The value that it is recognised by on other nodes.
        who: Option<String>,
        /// Its address.
        peer: Option<SocketAddr>,
        /// The way in which it moves to another node.
        relocation: RelocationState,
        /// It was asked to.
        is_asked_to_move: bool,
    },
}

/// A publication that is pulled from another node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullState {
    /// The node.
    pub node: String,
    /// The epoch of its claim.
    pub epoch: u64,
    /// The address of its RTMP port.
    pub rtmp: String,
    /// That of its HTTP-FLV port.
    pub httpflv: String,
    /// That of its HLS port.
    pub hls: Option<String>,
    /// The position behind the last frame that was taken.
    pub resume: PublicationResumeState,
    /// The connection to the node, unless it was being made.
    pub connection: Option<OriginConnectionState>,
}

/// The connection to a node that a publication is pulled from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OriginConnectionState {
    /// The connection itself.
    pub descriptor: DescriptorId,
    /// The reader of its data.
    pub reader: FlvReaderState,
}

/// The way in which a publisher moves to another node. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelocationState {
    /// It publishes on a new connection when it is asked to.
    OnRequest,
    /// It connects again so long after its connection was closed.
    AfterClose(u64),
    /// It looks for the close after so many messages each.
    AtLook(u32, u64),
}

/// An RTMP connection that publishes.
#[derive(Serialize, Deserialize)]
pub struct PublisherState {
    /// Its connection.
    pub socket: SocketState,
    /// The protocol's side of it.
    pub conversation: ConversationState,
    /// Its number at its stream.
    pub publisher: u64,
    /// Its access.
    pub access: Option<AccessState>,
    /// Age of the publication.
    pub since_ago_ms: u64,
    /// The bytes that the connection had received before it.
    pub bytes_before: u64,
    /// It fell silent, and was asked whether it is there.
    pub pinged: bool,
}

/// The protocol's side of an RTMP connection.
#[derive(Serialize, Deserialize)]
pub struct ConversationState {
    /// The peer's address.
    pub peer: SocketAddr,
    /// The session.
    pub session: SessionState,
    /// The bytes that the peer has sent.
    pub received_bytes: u64,
    /// Age of the last ones.
    pub received_ago_ms: u64,
    /// The time that a message takes to the peer and back, in microseconds.
    pub round_trip_us: u64,
}

/// A viewer's or publisher's connection.
#[derive(Debug, Serialize, Deserialize)]
pub struct SocketState {
    /// The connection itself.
    pub descriptor: DescriptorId,
    /// The bytes that wait for it.
    pub queue: ViewerQueueState,
    /// The bytes that it took.
    pub sent_bytes: u64,
}

/// The viewers of a stream on one thread.
#[derive(Default, Serialize, Deserialize)]
pub struct ShareState {
    /// In the order of their ids.
    pub viewers: Vec<ViewerState>,
}

/// A viewer over HTTP-FLV or RTMP.
#[derive(Serialize, Deserialize)]
pub struct ViewerState {
    /// Its connection.
    pub socket: SocketState,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Its receiving side.
    pub inbox: InboxState,
    /// It asked for a notice before it is disconnected.
    pub wants_notice: bool,
    /// It was asked to play on another connection.
    pub is_asked_to_leave: bool,
    /// Its access.
    pub access: Option<AccessState>,
    /// Age of its stay.
    pub since_ago_ms: u64,
    /// Age of its request, and the bytes that come before media, while none was sent.
    pub awaits_media: Option<(u64, u64)>,
}

/// The receiving side of a viewer's connection.
#[derive(Serialize, Deserialize)]
pub enum InboxState {
    /// Input is discarded.
    Http {
        /// The client has closed its sending side so long ago, when so many bytes were sent to it.
        reading_only: Option<(u64, u64)>,
    },
    /// Another node.
    Node,
    /// Input is WebSocket frames.
    WebSocket(ClientReaderState),
    /// Input is an RTMP player's.
    Player(Box<ConversationState>),
}

/// A connection's access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessState {
    /// The room.
    pub room: RoomName,
    /// It may publish, and not watch.
    pub is_publisher: bool,
    /// It came over RTMP, and not over HTTP-FLV.
    pub is_rtmp: bool,
    /// Its address.
    pub peer: SocketAddr,
    /// The subject of its token.
    pub subject: Option<String>,
    /// The id of its token.
    pub token_id: Option<String>,
    /// The end of the time that its token gives it, in seconds since 1970.
    pub ends_unix_s: Option<u64>,
    /// The name under which it is counted, and how many there may be.
    pub limit: Option<(String, u32)>,
    /// The order that cut it, which it has not obeyed yet.
    pub cut: u8,
    /// Its beginning was reported.
    pub has_begun: bool,
}

/// A room that this node has claimed, and its HLS numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimState {
    /// The room.
    pub room: RoomName,
    /// The claim's epoch.
    pub epoch: u64,
    /// The time at which it was granted, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// The numbers that come with it.
    pub numbers: NumbersState,
}

/// Reports for `EVENTS_URL` that were not delivered, oldest first. One that was under way is among them: it may arrive twice, under
/// the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsState {
    /// The process, as the reports' ids have it.
    pub process: u64,
    /// The number of the next report.
    pub next_number: u64,
    /// Reports that were dropped because too many waited, and not logged yet.
    pub dropped: u64,
    /// Those that wait.
    pub waiting: Vec<EventState>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventState {
    /// Its number within the process.
    pub number: u64,
    /// A publisher's, and not a viewer's.
    pub is_publisher: bool,
    /// The end of its stay, and not the beginning.
    pub is_end: bool,
    /// The room.
    pub room: String,
    /// The protocol.
    pub protocol: ProtocolState,
    /// The client's address.
    pub peer: String,
    /// The subject of its token.
    pub subject: Option<String>,
    /// The id of its token.
    pub token_id: Option<String>,
    /// The time at which it happened, in milliseconds since 1970.
    pub at_unix_ms: u64,
}

/// A protocol of publishers and viewers that are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtocolState {
    /// RTMP.
    Rtmp,
    /// HTTP-FLV.
    HttpFlv,
    /// HLS.
    Hls,
    /// WebRTC.
    WebRtc,
    /// The API.
    Api,
}

/// The claims of a node, and the numbers of rooms that it has released.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClaimsState {
    /// The rooms that it has claimed.
    pub held: Vec<ClaimState>,
    /// Rooms that it had claimed: when a publisher comes back, its playlist goes on.
    pub released: Vec<ReleasedState>,
}

/// A room that this node had claimed, and whose numbers it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedState {
    /// The claim, as it was.
    pub claim: ClaimState,
    /// The time since its release.
    pub released_ago_ms: u64,
}

/// The HLS numbers that come with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NumbersState {
    /// The first sequence number under the claim.
    pub first_sequence: u64,
    /// The next segment's.
    pub next_sequence: u64,
    /// The next segment's discontinuity.
    pub next_discontinuity: u64,
    /// Sequence numbers below it are reserved.
    pub limit_sequence: u64,
    /// Discontinuities below it are.
    pub limit_discontinuity: u64,
    /// No other process has used numbers of the room since this one did.
    pub continues: bool,
}

impl NumbersState {
    /// The numbers that count as used.
    pub(crate) fn in_use(&self) -> NumberUse {
        let limit = HlsNumbers { sequence: self.limit_sequence, discontinuity: self.limit_discontinuity };
        NumberUse { first_sequence: self.first_sequence, limit }
    }
}
