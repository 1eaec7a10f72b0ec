//! The report of one node, as `assets/openapi.json` describes it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::Serialize;
use synctv_actors::{
    connection_limit::ConnectionLimit,
    stream::{StreamHandle, StreamStats},
};

use crate::http::{
    api::{
        rooms::{audio_name, video_name},
        webrtc_state::WebRtcState,
    },
    health::Standing,
};

/// The time between two samples of a chart.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// A node and its rooms.
#[derive(Debug, Serialize)]
pub struct NodeReport {
    node: String,
    version: &'static str,
    /// As `/readyz` says.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    connections: usize,
    connections_max: usize,
    /// Seconds between two values of a chart.
    interval_s: u64,
    charts: Charts,
    rooms: Vec<RoomReport>,
}

/// Values of the last ten minutes, the oldest first.
#[derive(Debug, Serialize)]
pub(super) struct Charts {
    pub ingest_kbps: Vec<u32>,
    pub sent_kbps: Vec<u32>,
    pub viewers: Vec<u32>,
    /// The 99th percentile.
    pub publish_to_send_ms: Vec<Option<f32>>,
}

/// Values of the last ten minutes, the oldest first.
#[derive(Debug, Serialize)]
pub(super) struct RoomCharts {
    pub kbps: Vec<u32>,
    pub sent_kbps: Vec<u32>,
    pub viewers: Vec<u32>,
    pub frame_rate: Vec<f32>,
}

/// A room on a node.
#[derive(Debug, Serialize)]
pub(super) struct RoomReport {
    room: String,
    is_live: bool,
    /// The node that it is pulled from; `None` if this one publishes it.
    origin: Option<String>,
    since_unix_ms: Option<u64>,
    /// The publisher's address; only where reports are for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    encoder: Option<String>,
    video: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    audio: Option<String>,
    /// As the publisher announces it.
    announced_frame_rate: Option<f64>,
    keyframe_interval_ms: Option<i64>,
    /// Negative if audio is ahead.
    video_after_audio_ms: Option<i64>,
    has_b_frames: bool,
    /// `None` while it is not known.
    webrtc: Option<WebRtcState>,
    lacks_keyframes: bool,
    bitrate_kbps: Option<u64>,
    /// By protocol; `pull` are other nodes.
    viewers: BTreeMap<&'static str, u64>,
    skips: u64,
    charts: RoomCharts,
}

impl NodeReport {
    pub(super) fn new(
        node: &str,
        standing: &Standing,
        ports: &[(&'static str, ConnectionLimit)],
        charts: Charts,
        mut rooms: Vec<RoomReport>,
    ) -> Self {
        let (status, reason) = match standing {
            Standing::Ready => ("ready", None),
            Standing::Draining => ("draining", None),
            Standing::NotReady(reason) => ("not_ready", Some(reason.clone())),
            Standing::Dead(reason) => ("dead", Some((*reason).to_owned())),
        };
        rooms.sort_by(|one, other| one.room.cmp(&other.room));
        Self {
            node: node.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            status,
            reason,
            connections: ports.first().map_or(0, |(_, port)| port.held()),
            connections_max: ports.first().map_or(0, |(_, port)| port.max()),
            interval_s: INTERVAL.as_secs(),
            charts,
            rooms,
        }
    }
}

impl RoomReport {
    pub(super) fn new(
        stream: &StreamHandle,
        stats: StreamStats,
        viewers: BTreeMap<&'static str, u64>,
        charts: RoomCharts,
    ) -> Self {
        Self {
            room: stream.room().to_string(),
            is_live: stream.is_live(),
            origin: stats.origin,
            since_unix_ms: stats.since_unix_ms,
            address: stats.publisher,
            encoder: stats.encoder,
            video: stats.video.map(video_name),
            width: stats.frame_size.map(|size| size.width),
            height: stats.frame_size.map(|size| size.height),
            audio: stats.audio.map(audio_name),
            announced_frame_rate: stats.announced_frame_rate.map(f64::from),
            keyframe_interval_ms: stats.keyframe_interval_ms,
            video_after_audio_ms: stats.video_after_audio_ms,
            has_b_frames: stats.has_b_frames,
            webrtc: stats.webrtc.as_ref().map(WebRtcState::from),
            lacks_keyframes: stats.lacks_keyframes,
            bitrate_kbps: stats.bitrate_kbps,
            viewers,
            skips: stream.meters().counts().skips,
            charts,
        }
    }
}
